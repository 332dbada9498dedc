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

"""The obstacles node over DDS: from detections, camera and depth to metres, and what it says."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from e4_ros.msg import Detection, Detections, Obstacles  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import (  # noqa: E402
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from sensor_msgs.msg import CameraInfo, Image, PointCloud2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from e4_ros.benchmarks.ros.obstacles import CAMERA, camera_pose  # noqa: E402
from e4_ros.benchmarks.ros.scene import Block, boxes_of, depth_of  # noqa: E402
from e4_ros.nodes import obstacle_messages  # noqa: E402
from e4_ros.nodes.conversions import octets  # noqa: E402
from e4_ros.nodes.obstacle_messages import to_cloud  # noqa: E402
from e4_ros.nodes.obstacles import ObstaclesNode  # noqa: E402
from e4_ros.nodes.transform_listener import TFMessage  # noqa: E402
from e4_ros.perception.obstacles import TransformError  # noqa: E402
from e4_ros.perception.obstacles.depth import points_of_depth  # noqa: E402

pytestmark = pytest.mark.ros

SECOND = 10**9
PERSON = Block((4.0, 0.5))
MOUNTED = '0 0 0.6 0 0.2 0'  # camera_pose(0, 'static')


def until(condition, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.01)


def header(stamp_ns: int, frame_id: str = 'camera_optical_frame') -> Header:
    made = Header(frame_id=frame_id)
    made.stamp.sec, made.stamp.nanosec = divmod(stamp_ns, SECOND)
    return made


class Robot:
    """A camera, a detector and whoever listens to the obstacles."""

    def __init__(self, node, name: str = '/obstacles') -> None:
        self.node, self.heard = node, {'obstacles': [], 'points': [], 'diagnostics': []}
        self.detections = node.create_publisher(Detections, '/perception/detections', 10)
        self.info = node.create_publisher(CameraInfo, '/camera_info', qos_profile_sensor_data)
        self.depth = node.create_publisher(Image, '/depth', 5)
        self.cloud = node.create_publisher(PointCloud2, '/points', 5)
        for topic, kind in (('obstacles', Obstacles), ('points', PointCloud2)):
            node.create_subscription(kind, f'{name}/{topic}', self.heard[topic].append, 50)
        node.create_subscription(
            DiagnosticArray, '/diagnostics', self.heard['diagnostics'].append, 50
        )

    def see(self, stamp_ns: int, *, size=(640, 480), track=7, task='detect', pose=None) -> None:
        (box,) = boxes_of([PERSON], 0.0, CAMERA, pose or camera_pose(0.0, 'static'))
        found = Detection(class_name='person', score=0.9, track_id=track)
        found.box = box.astype(np.float32)
        width, height = size
        self.detections.publish(
            Detections(
                header=header(stamp_ns),
                task=task,
                image_width=width,
                image_height=height,
                detections=[found],
            )
        )

    def calibrate(self, **changed) -> None:
        fields = {'height': 480, 'width': 640, 'distortion_model': 'plumb_bob', 'd': [0.0] * 5}
        matrix = [float(x) for x in CAMERA.matrix.ravel()]
        self.info.publish(CameraInfo(**{**fields, 'k': matrix, **changed}))

    def measure(self, stamp_ns: int, frame_id: str = 'camera_optical_frame') -> None:
        depth = depth_of([PERSON], 0.0, CAMERA, camera_pose(0.0, 'static'))
        message = Image(header=header(stamp_ns, frame_id), height=480, width=640, step=1280)
        message.encoding, message.data = '16UC1', octets(np.nan_to_num(depth * 1000).astype('<u2'))
        self.depth.publish(message)

    def scan(self, stamp_ns: int) -> None:
        depth = depth_of([PERSON], 0.0, CAMERA, camera_pose(0.0, 'static'))
        points = points_of_depth(depth, CAMERA)[::4, ::4].reshape(-1, 3)
        self.cloud.publish(to_cloud(points, header(stamp_ns)))

    def complaint(self) -> str:
        """The newest message of the node's diagnostics."""
        found = [s for m in self.heard['diagnostics'] for s in m.status if 'obstacles' in s.name]
        return found[-1].message if found else ''


@pytest.fixture
def start(ros_context):
    """Makes an obstacles node with parameters, and a robot around it; a thread spins them."""
    executor = SingleThreadedExecutor(context=ros_context)
    nodes = []

    def begin(*words: str, **parameters) -> Robot:
        given = [Parameter(name, value=item) for name, item in parameters.items()]
        given.append(Parameter('diagnostics_period_s', value=0.1))
        made = ObstaclesNode(
            context=ros_context,
            parameter_overrides=given,
            cli_args=['--ros-args', *words] if words else None,
        )
        around = rclpy.create_node('robot', context=ros_context)
        robot = Robot(around, made.get_fully_qualified_name())
        for node in (made, around):
            nodes.append(node)
            executor.add_node(node)
        until(lambda: made._inputs is not None and robot.detections.get_subscription_count() == 1)
        until(lambda: all(p.get_subscription_count() for p, _ in made._outputs._makers[:2]))
        robot.made = made
        return robot

    thread = threading.Thread(target=executor.spin)
    thread.start()
    yield begin
    executor.shutdown()
    thread.join()
    for node in nodes:
        if isinstance(node, ObstaclesNode):
            node.stop()
        node.destroy_node()


def listening(robot: Robot, publisher) -> None:
    until(lambda: publisher.get_subscription_count() == 1)
    if publisher in (robot.depth, robot.cloud):  # offered reliably, so it is taken so
        until(lambda: _is_reliable(robot.made._inputs._sight))
        until(lambda: _matched(robot.node, publisher))
    robot.calibrate()
    until(lambda: robot.made._inputs._infos)


def _is_reliable(subscription) -> bool:
    """Whether it is one, which it is not for a moment while it follows what is offered."""
    wanted = ReliabilityPolicy.RELIABLE
    return subscription is not None and subscription.qos_profile.reliability == wanted


def _matched(node, publisher) -> bool:
    """Whether the graph knows one subscription only, and it is the reliable one."""
    found = node.get_subscriptions_info_by_topic(publisher.topic_name)
    return [f.qos_profile.reliability for f in found] == [ReliabilityPolicy.RELIABLE]


@pytest.mark.parametrize('mode', ['depth', 'cloud', 'ground'])
def test_a_person_stands_where_it_stands(start, mode):
    robot = start(mode=mode, camera_pose=MOUNTED, target_frame='world')
    send = {'depth': robot.measure, 'cloud': robot.scan}.get(mode)
    listening(robot, {'depth': robot.depth, 'cloud': robot.cloud}.get(mode, robot.info))
    for step in range(10):
        stamp_ns = 5 * SECOND + step * SECOND // 10
        if send:
            send(stamp_ns)
        robot.see(stamp_ns)
        count = step + 1
        until(lambda: {len(robot.heard[key]) for key in ('obstacles', 'points')} == {count})  # noqa: B023
    message = robot.heard['obstacles'][-1]
    assert (message.header.frame_id, message.mode) == ('world', mode)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (5, 900_000_000)
    (obstacle,) = message.obstacles
    assert (obstacle.track_id, obstacle.class_name) == (7, 'person')
    assert np.hypot(obstacle.position.x - 4, obstacle.position.y - 0.5) < 0.1
    assert np.hypot(obstacle.velocity.x, obstacle.velocity.y) < 0.05
    assert 0 < obstacle.covariance[0] < 0.1
    cloud = robot.heard['points'][-1]
    points = np.frombuffer(cloud.data, '<f4').reshape(-1, 3)
    assert cloud.width == len(points) > 20
    assert np.linalg.norm(points[:, :2] - [4, 0.5], axis=1).max() < 0.5


def test_an_image_without_objects_is_an_empty_cloud_so_that_nobody_waits(start):
    robot = start(mode='ground', camera_pose=MOUNTED, classes=['bicycle'])
    listening(robot, robot.info)
    robot.see(SECOND)
    until(lambda: robot.heard['points'] and robot.heard['obstacles'])
    assert robot.heard['points'][0].width == 0
    assert robot.heard['obstacles'][0].obstacles == []


def test_depth_that_comes_later_than_its_image_is_waited_for(start):
    robot = start(camera_pose=MOUNTED, wait_s=10.0)
    listening(robot, robot.depth)
    robot.see(SECOND)
    time.sleep(0.3)
    assert not robot.heard['obstacles']
    robot.measure(SECOND + SECOND // 100)
    until(lambda: robot.heard['obstacles'])


def test_what_is_missing_is_said_once_and_so_is_its_return(start):
    robot = start(camera_pose=MOUNTED, wait_s=0.05)
    said = []
    robot.made._troubles._warn = said.append
    robot.made._troubles._info = said.append
    until(lambda: robot.depth.get_subscription_count() == 1)
    for index in range(3):
        robot.see((index + 1) * SECOND)
    until(lambda: robot.made._counts['dropped.camera_info'] == 3)
    robot.calibrate()
    until(lambda: robot.made._inputs._infos)
    for index in range(3, 6):
        robot.see((index + 1) * SECOND)
    until(lambda: robot.made._counts['dropped.depth'] == 3)
    until(lambda: 'nothing came on /depth' in robot.complaint())
    robot.measure(7 * SECOND)
    robot.see(7 * SECOND)
    until(lambda: len(said) == 4)
    assert 'no camera_info came on /camera_info' in said[0]
    assert 'nothing came on /depth: remap it' in said[1]
    assert sorted(said[2:]) == [
        'camera_info: obstacles go on',
        'depth: obstacles go on',
    ]
    until(lambda: '1 images with obstacles placed' in robot.complaint())


@pytest.mark.parametrize(
    ('info', 'seen', 'says'),
    [
        ({'k': [0.0] * 9}, {}, 'holds no calibration'),
        ({}, {'size': (640, 360)}, 'which 640×360 are not a scaled'),
        ({'distortion_model': 'kannala'}, {}, "'kannala'"),
        ({}, {'task': 'classify'}, 'it finds no objects'),
    ],
)
def test_what_cannot_be_used_is_told_on_diagnostics(start, info, seen, says):
    robot = start(mode='ground', camera_pose=MOUNTED)
    until(lambda: robot.info.get_subscription_count() == 1)
    robot.calibrate(**info)
    until(lambda: robot.made._inputs._infos)
    robot.see(SECOND, **seen)
    until(lambda: says in robot.complaint())
    assert not robot.heard['obstacles']


def test_an_error_of_our_own_drops_one_image_and_is_told(start):
    robot = start(mode='ground', camera_pose=MOUNTED)
    listening(robot, robot.info)
    find, robot.made._finder.find = robot.made._finder.find, lambda *_: 1 / 0
    robot.see(SECOND)
    until(lambda: 'ZeroDivisionError' in robot.complaint())
    robot.made._finder.find = find
    robot.see(2 * SECOND)
    until(lambda: robot.heard['obstacles'])


def test_an_image_of_another_resolution_than_its_calibration_is_scaled(start):
    robot = start(mode='ground', camera_pose=MOUNTED)
    until(lambda: robot.info.get_subscription_count() == 1)
    double = CAMERA.scaled(1280, 960).matrix
    robot.calibrate(width=1280, height=960, k=[float(x) for x in double.ravel()])
    until(lambda: robot.made._inputs._infos)
    robot.see(SECOND)
    until(lambda: robot.heard['obstacles'])
    place = robot.heard['obstacles'][0].obstacles[0].position
    assert np.hypot(place.x - 4, place.y - 0.5) < 0.1


def test_in_a_namespace_with_a_remap_all_relative_topics_follow(start):
    robot = start(
        *('-r', '__ns:=/front', '-r', 'camera_info:=/camera_info'),
        *('-r', 'perception/detections:=/perception/detections'),
        mode='ground',
        camera_pose=MOUNTED,
    )
    listening(robot, robot.info)
    robot.see(SECOND)
    until(lambda: robot.heard['obstacles'])
    assert robot.made.get_fully_qualified_name() == '/front/obstacles'


def test_without_tf_messages_or_a_pose_it_says_what_to_do(ros_context, monkeypatch):
    from e4_ros.nodes import obstacle_inputs

    monkeypatch.setattr(obstacle_inputs, 'TFMessage', None)
    node = ObstaclesNode(
        context=ros_context, parameter_overrides=[Parameter('autostart', value=False)]
    )
    said = []
    monkeypatch.setattr(node.get_logger(), 'error', said.append, raising=False)
    try:
        assert node.trigger_configure().name == 'FAILURE'
        assert 'tf2_msgs is not installed' in said[0]
        assert 'camera_pose' in said[0]
    finally:
        node.destroy_node()


def test_a_pose_that_is_none_is_refused():
    from e4_ros.nodes.obstacle_inputs import fixed_pose

    with pytest.raises(ValueError, match="six numbers, x y z roll pitch yaw, not '1 2 3'"):
        fixed_pose('1 2 3')
    assert fixed_pose(' ') is None
    assert np.allclose(fixed_pose(MOUNTED).rotation, camera_pose(0.0, 'static').rotation)


needs_tf = pytest.mark.skipif(TFMessage is None, reason='tf2_msgs is not among the wheels')


def transform(parent: str, child: str, stamp_ns: int, *, x: float = 0.0, optical=False):
    from geometry_msgs.msg import TransformStamped

    message = TransformStamped(header=header(stamp_ns, parent), child_frame_id=child)
    message.transform.translation.x = x
    turn = message.transform.rotation
    if optical:  # 0.6 m up, looking down by 0.2
        message.transform.translation.z = 0.6
        turn.x, turn.y, turn.z, turn.w = _quaternion(camera_pose(0.0, 'static').rotation)
    return message


def _quaternion(rotation: np.ndarray) -> tuple[float, ...]:
    w = np.sqrt(1 + np.trace(rotation)) / 2
    x, y, z = (rotation[2, 1], rotation[0, 2], rotation[1, 0]) - np.array(
        [rotation[1, 2], rotation[2, 0], rotation[0, 1]]
    )
    return tuple(float(part) for part in (x / (4 * w), y / (4 * w), z / (4 * w), w))


@needs_tf
def test_tf_says_where_the_camera_was_when_it_comes_late_and_when_it_jumps(start):
    robot = start(mode='ground', wait_s=3.0)
    node = robot.node
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    static = node.create_publisher(TFMessage, '/tf_static', latched)
    moving = node.create_publisher(TFMessage, '/tf', 100)
    listening(robot, robot.info)
    mount = transform('base_link', 'camera_optical_frame', 0, optical=True)
    static.publish(TFMessage(transforms=[mount]))
    robot.see(10 * SECOND)
    until(lambda: "transform of the frame 'odom'" in robot.complaint())
    for second in (19, 20):
        moving.publish(
            TFMessage(transforms=[transform('odom', 'base_link', second * SECOND, x=2.0)])
        )
    robot.see(20 * SECOND - SECOND // 2)
    until(lambda: len(robot.heard['obstacles']) == 1)
    robot.see(21 * SECOND)  # its transform comes later
    time.sleep(0.05)
    moving.publish(TFMessage(transforms=[transform('odom', 'base_link', 21 * SECOND, x=3.0)]))
    until(lambda: len(robot.heard['obstacles']) == 2)
    moving.publish(TFMessage(transforms=[transform('odom', 'base_link', 5 * SECOND, x=9.0)]))
    until(lambda: _knows(robot, 5 * SECOND))
    robot.see(5 * SECOND, track=1)
    until(lambda: len(robot.heard['obstacles']) == 3)
    first, second, third = (m.obstacles[0].position.x for m in robot.heard['obstacles'])
    assert first == pytest.approx(6, abs=0.1)
    assert 6 < second < 7.1
    assert third == pytest.approx(13, abs=0.1)
    moving.publish(TFMessage(transforms=[transform('base_link', 'odom', 6 * SECOND)]))
    robot.see(6 * SECOND)
    until(lambda: 'are a loop' in robot.complaint())


@needs_tf
def test_a_robot_that_drives_does_not_make_what_stands_move(start):
    robot = start(mode='ground', wait_s=5.0)
    moving = robot.node.create_publisher(TFMessage, '/tf', 100)
    listening(robot, robot.info)
    until(lambda: moving.get_subscription_count() == 1)
    for step in range(101):  # tf every 20 ms, an image every 100 ms, never at the same moment
        pose = camera_pose(step / 50, 'moving')
        sent = transform('odom', 'camera_optical_frame', SECOND + step * SECOND // 50)
        place, turn = sent.transform.translation, sent.transform.rotation
        place.x, place.y, place.z = map(float, pose.translation)
        turn.x, turn.y, turn.z, turn.w = _quaternion(pose.rotation)
        moving.publish(TFMessage(transforms=[sent]))
    until(lambda: _knows(robot, 3 * SECOND))
    for step in range(19):
        time_s = 0.105 + step / 10
        robot.see(SECOND + round(time_s * SECOND), pose=camera_pose(time_s, 'moving'))
        until(lambda count=step + 1: len(robot.heard['obstacles']) == count)
    (obstacle,) = robot.heard['obstacles'][-1].obstacles
    assert np.hypot(obstacle.position.x - 4, obstacle.position.y - 0.5) < 0.1
    assert np.hypot(obstacle.velocity.x, obstacle.velocity.y) < 0.05


def _knows(robot: Robot, stamp_ns: int) -> bool:
    try:
        robot.made._inputs._buffer.lookup('odom', 'camera_optical_frame', stamp_ns)
    except TransformError:
        return False
    return True


@needs_tf
def test_a_depth_camera_beside_the_camera_is_looked_at_from_there(start):
    robot = start(wait_s=5.0)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    static = robot.node.create_publisher(TFMessage, '/tf_static', latched)
    calibration = robot.node.create_publisher(
        CameraInfo, '/depth/camera_info', qos_profile_sensor_data
    )
    listening(robot, robot.depth)
    mount = transform('odom', 'camera_optical_frame', 0, optical=True)
    beside = transform('camera_optical_frame', 'depth_frame', 0)
    static.publish(TFMessage(transforms=[mount, beside]))
    until(lambda: calibration.get_subscription_count() == 1)
    matrix = [float(x) for x in CAMERA.matrix.ravel()]
    calibration.publish(CameraInfo(height=480, width=640, k=matrix))
    robot.see(SECOND)
    robot.measure(SECOND, 'depth_frame')
    until(lambda: robot.heard['obstacles'])
    place = robot.heard['obstacles'][0].obstacles[0].position
    assert np.hypot(place.x - 4, place.y - 0.5) < 0.15


def _publishes(robot: Robot, topic: str) -> bool:
    """Whether the node knows of somebody who listens to a topic."""
    found = {p.topic_name: p for p, _ in robot.made._outputs._makers}
    return found[topic].get_subscription_count() == 1


@pytest.mark.skipif(
    obstacle_messages.Detection3DArray is None, reason='vision_msgs is not among the wheels'
)
def test_vision_msgs_carry_id_box_and_covariance(start):
    robot = start(mode='ground', camera_pose=MOUNTED)
    heard: list = []
    robot.node.create_subscription(
        obstacle_messages.Detection3DArray, '/obstacles/detections_3d', heard.append, 10
    )
    listening(robot, robot.info)
    until(lambda: _publishes(robot, '/obstacles/detections_3d'))
    robot.see(SECOND)
    until(lambda: heard)
    (found,) = heard[0].detections
    assert found.id == '7'
    assert found.results[0].hypothesis.class_id == 'person'
    assert found.bbox.center.position.x == pytest.approx(4, abs=0.1)
    assert found.bbox.size.z == pytest.approx(1.7, abs=0.1)
    assert found.results[0].pose.covariance[0] > 0


@pytest.mark.parametrize(
    ('kind', 'topic', 'items'),
    [
        ('MarkerArray', 'markers', 'markers'),
        ('People', 'people', 'people'),
        ('ObstacleArray', 'dynamic_obstacles', 'obstacles'),
    ],
)
def test_other_messages_are_there_where_they_are_installed(start, kind, topic, items):
    message = getattr(obstacle_messages, kind)
    if message is None:
        pytest.skip(f'the messages of ~/{topic} are not installed')
    robot = start(mode='ground', camera_pose=MOUNTED)
    heard: list = []
    robot.node.create_subscription(message, f'/obstacles/{topic}', heard.append, 10)
    listening(robot, robot.info)
    until(lambda: _publishes(robot, f'/obstacles/{topic}'))
    robot.see(SECOND)
    until(lambda: heard)
    assert len(getattr(heard[0], items)) == (3 if kind == 'MarkerArray' else 1)
