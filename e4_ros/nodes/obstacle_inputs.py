# Copyright 2026 e4_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""What the obstacles node listens to: detections, camera, depth or cloud, and tf, by stamps."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from e4_ros.msg import Detections
from e4_ros.nodes.offered_qos import as_offered
from e4_ros.nodes.parameters import value
from e4_ros.nodes.timers import steady_timer
from e4_ros.nodes.transform_listener import TFMessage, TransformListener
from e4_ros.perception.obstacles import (
    Camera,
    DepthError,
    Pose,
    Stamped,
    TransformBuffer,
    TransformError,
    depth_of_image,
    points_of_cloud,
)
from e4_ros.perception.obstacles.depth import depth_of_points, points_of_depth

_KEPT = 10  # depth images, a third of a second of a quick camera
_MOST_WAITING = 30
_LOOK_S = 0.05  # between two looks at what waits too long
_FOLLOW_S = 0.25  # between two looks at what the publishers of depth offer


class Missing(Exception):  # noqa: N818
    """Something that detections need is not there.

    Attributes:
        kind: depth, tf, camera_info, task, pace or error.
        may_come: It may be there in a moment.
    """

    def __init__(self, kind: str, text: str, may_come: bool = False) -> None:
        super().__init__(text)
        self.kind, self.may_come = kind, may_come


class Sight(NamedTuple):
    """What belongs to the detections of one image.

    Attributes:
        camera: What took it.
        pose: Of its optical frame in the target frame.
        depth: ``(H, W)`` metres in its view; None where the ground is used.
        depth_camera: The camera at the depth's resolution.
    """

    camera: Camera
    pose: Pose
    depth: np.ndarray | None = None
    depth_camera: Camera | None = None


class ObstacleInputs(ManagedEntity):
    """While it is active, pairs detections with what they need, in the order in which they came.

    Detections wait for depth and tf of their time for `wait_s` at most.

    Args:
        node: Has the parameters of the obstacles node.
        process: Takes detections with what belongs to them, and when the work on them began, by
            `time.perf_counter`.
        drop: Takes detections that get no obstacles, and why.
        wrong: Takes what is said of a transform that is none.
    """

    def __init__(
        self,
        node: Node,
        process: Callable[[Detections, Sight, float], None],
        drop: Callable[[Detections, Missing], None],
        wrong: Callable[[str], None],
    ) -> None:
        self._node, self._process, self._drop, self._wrong = node, process, drop, wrong
        self._mode = value(node, 'mode')
        self._target, self._rectified = value(node, 'target_frame'), value(node, 'rectified')
        self._slop_ns = round(value(node, 'slop_s') * 1e9)
        self._wait_s = value(node, 'wait_s')
        self._fixed = fixed_pose(value(node, 'camera_pose'))
        if self._fixed is None and TFMessage is None:
            raise ValueError(
                'tf2_msgs is not installed, so nothing says where the camera is: install it '
                '(ros-$ROS_DISTRO-tf2-msgs), or set camera_pose for a camera that never moves'
            )
        self._buffer = TransformBuffer()
        self._sights: Stamped[Image | PointCloud2] = Stamped(_KEPT)
        self._waiting: deque[tuple[float, Detections]] = deque()
        self._infos: dict[str, CameraInfo] = {}
        self._cameras: dict[str, tuple[CameraInfo, Camera]] = {}
        self._subscriptions: list[Subscription] = []
        self._sight: Subscription | None = None
        self._listener: TransformListener | None = None
        self._timers: list[Any] = []

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen."""
        node = self._node
        self._subscriptions = [
            node.create_subscription(Detections, 'perception/detections', self._on_detections, 10),
            self._listen_to_camera('camera_info'),
        ]
        self._timers = [steady_timer(node, _LOOK_S, self._advance)]
        if self._mode != 'ground':
            self._follow()
            self._timers.append(steady_timer(node, _FOLLOW_S, self._follow))
        if self._mode == 'depth':
            self._subscriptions.append(self._listen_to_camera('depth/camera_info'))
        if self._fixed is None:
            self._listener = TransformListener(node, self._buffer, self._advance, self._wrong)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen no more, and forget what came."""
        for timer in self._timers:
            self._node.destroy_timer(timer)
        if self._sight is not None:
            self._subscriptions.append(self._sight)
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        if self._listener is not None:
            self._listener.stop()
        self._sight, self._listener = None, None
        self._subscriptions, self._timers = [], []
        self._waiting.clear()
        self._sights.clear()
        self._buffer = TransformBuffer()
        return super().on_deactivate(state)

    def _listen_to_camera(self, topic: str) -> Subscription:
        def keep(message: CameraInfo) -> None:
            self._infos[topic] = message
            self._advance()

        return self._node.create_subscription(CameraInfo, topic, keep, qos_profile_sensor_data)

    def _follow(self) -> None:
        """Subscribe depth as reliably as it is offered: best effort loses most large images."""
        kind, topic = (Image, 'depth') if self._mode == 'depth' else (PointCloud2, 'points')
        name = self._node.resolve_topic_name(topic)
        qos = as_offered(self._node.get_publishers_info_by_topic(name), _KEPT)
        if self._sight is not None:
            if self._sight.qos_profile.reliability == qos.reliability:
                return
            self._node.destroy_subscription(self._sight)
        plain = QoSProfile(depth=_KEPT, reliability=qos.reliability)
        self._sight = self._node.create_subscription(kind, topic, self._on_sight, plain)

    def _on_sight(self, message: Image | PointCloud2) -> None:
        self._sights.add(_stamp_ns(message.header), message)
        self._advance()

    def _on_detections(self, message: Detections) -> None:
        if len(self._waiting) == _MOST_WAITING:
            _, oldest = self._waiting.popleft()
            self._drop(oldest, Missing('pace', 'detections come faster than they can be placed'))
        self._waiting.append((time.monotonic(), message))
        self._advance()

    def _advance(self) -> None:
        """Work on what waits, the oldest first, as far as what it needs is there."""
        while self._waiting:
            arrived_s, detections = self._waiting[0]
            began_s = time.perf_counter()
            try:
                sight = self._gather(detections)
            except Missing as missing:
                if missing.may_come and time.monotonic() - arrived_s < self._wait_s:
                    return
                self._waiting.popleft()
                self._drop(detections, missing)
                continue
            self._waiting.popleft()
            try:
                self._process(detections, sight, began_s)
            except Exception as error:
                self._drop(detections, Missing('error', f'{type(error).__name__}: {error}'))

    def _gather(self, detections: Detections) -> Sight:
        """What belongs to detections.

        Raises:
            Missing: something is not there, or not of use.
        """
        if detections.task not in ('detect', ''):
            raise Missing('task', f'the model has the task {detections.task}: it finds no objects')
        header = detections.header
        camera = self._camera('camera_info')
        size = (detections.image_width, detections.image_height)
        try:
            camera = camera.scaled(*size) if all(size) else camera
        except ValueError as error:
            raise Missing('camera_info', str(error)) from None
        pose = self._pose(header.frame_id, _stamp_ns(header))
        if self._mode == 'ground':
            return Sight(camera, pose)
        message = self._nearest(_stamp_ns(header))
        try:
            depth, depth_camera = self._depth(message, camera, header, pose)
        except (DepthError, ValueError) as error:
            raise Missing('depth', str(error)) from None
        return Sight(camera, pose, depth, depth_camera)

    def _camera(self, topic: str) -> Camera:
        info = self._infos.get(topic)
        if info is None:
            name = self._node.resolve_topic_name(topic)
            raise Missing(
                'camera_info', f'no camera_info came on {name}: remap {topic} to it', may_come=True
            )
        known = self._cameras.get(topic)
        if known is not None and _is_same(known[0], info):
            return known[1]
        try:
            camera = Camera.of_info(info, self._rectified)
        except ValueError as error:
            raise Missing('camera_info', str(error)) from None
        self._cameras[topic] = info, camera
        return camera

    def _pose(self, frame: str, stamp_ns: int) -> Pose:
        if self._fixed is not None:
            return self._fixed
        if not stamp_ns:
            raise Missing('tf', 'the images have no stamp, so tf cannot say where the camera was')
        try:
            return self._buffer.lookup(self._target, frame, stamp_ns)
        except TransformError as error:
            raise Missing('tf', str(error), may_come=True) from None

    def _nearest(self, stamp_ns: int) -> Image | PointCloud2:
        found = self._sights.nearest(stamp_ns, self._slop_ns)
        newest_ns = self._sights.newest_ns
        is_past = newest_ns is not None and newest_ns >= stamp_ns
        if found is not None and (is_past or found[0] == stamp_ns):
            return found[1]
        topic = self._node.resolve_topic_name('depth' if self._mode == 'depth' else 'points')
        if newest_ns is None:
            text = f'nothing came on {topic}: remap it, or set mode'
        else:
            near_ms = self._slop_ns / 1e6
            text = f'nothing on {topic} has a stamp within {near_ms:g} ms of the images'
        raise Missing('depth', text, may_come=True)

    def _depth(
        self, message: Image | PointCloud2, camera: Camera, image: Header, pose: Pose
    ) -> tuple[np.ndarray, Camera]:
        """Depth in the camera's view, whatever sensor it is from."""
        frames = {message.header.frame_id.lstrip('/'), image.frame_id.lstrip('/')}
        same_view = len(frames) == 1 or self._fixed is not None  # nobody says where else it is
        if isinstance(message, Image):
            depth = depth_of_image(message)
            height, width = depth.shape
            if same_view:
                return depth, camera.scaled(width, height)
            own = self._camera('depth/camera_info').scaled(width, height)
            points = points_of_depth(depth, own).reshape(-1, 3)
        else:
            points = points_of_cloud(message)
        if same_view:
            return depth_of_points(points, Pose.identity(), camera)
        theirs = self._pose(message.header.frame_id, _stamp_ns(message.header))
        return depth_of_points(points, pose.inverse().after(theirs), camera)


def fixed_pose(text: str) -> Pose | None:
    """The pose of the parameter `camera_pose`; None where it is empty.

    Raises:
        ValueError: it is not six numbers.
    """
    if not text.strip():
        return None
    try:
        x, y, z, roll, pitch, yaw = map(float, text.replace(',', ' ').split())
    except ValueError:
        raise ValueError(
            f'camera_pose is six numbers, x y z roll pitch yaw, not {text!r}'
        ) from None
    return Pose.of_camera(x, y, z, roll, pitch, yaw)


def _stamp_ns(header: Header) -> int:
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def _is_same(one: CameraInfo, other: CameraInfo) -> bool:
    """Whether both describe the same camera; each has its own stamp."""
    if one is other:
        return True
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ('width', 'height', 'distortion_model', 'd', 'k', 'r', 'p', 'roi')
    ) and (one.binning_x, one.binning_y) == (other.binning_x, other.binning_y)
