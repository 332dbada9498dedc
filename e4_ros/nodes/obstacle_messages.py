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

"""Detections out of messages, and obstacles into them; what is not installed is None."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header

from e4_ros.msg import Detection, Obstacles
from e4_ros.msg import Detections as DetectionsMsg
from e4_ros.msg import Obstacle as ObstacleMsg
from e4_ros.nodes.conversions import octets
from e4_ros.perception.obstacles import Obstacle
from e4_ros.vision.detections import Detections

try:
    from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose
except ImportError:
    Detection3DArray = None
try:
    from visualization_msgs.msg import Marker, MarkerArray
except ImportError:
    MarkerArray = None
try:
    from people_msgs.msg import People, Person
except ImportError:
    People = None
try:
    from nav2_dynamic_msgs.msg import Obstacle as DynamicObstacle
    from nav2_dynamic_msgs.msg import ObstacleArray
except ImportError:
    ObstacleArray = None

_ANY_YAW = math.pi**2 / 3  # variance of a direction that is not known
_STILL_MPS = 0.1
_IDS = uuid.uuid4()  # of this process: ids of tracks begin anew in the next one


def to_arrays(messages: Sequence[Detection]) -> Detections:
    """Detections of messages, in their order."""
    count = len(messages)
    ids = np.array([message.track_id for message in messages], np.int64)
    return Detections(
        np.array([message.box for message in messages], np.float32).reshape(count, 4),
        np.array([message.score for message in messages], np.float32),
        np.array([message.class_index for message in messages], np.int64),
        ids,
    )


def to_obstacles(
    found: Sequence[Obstacle], seen: DetectionsMsg, header: Header, mode: str
) -> Obstacles:
    """``e4_ros/Obstacles``."""
    message = Obstacles(header=header, mode=mode)
    for obstacle in found:
        detection = seen.detections[obstacle.index]
        message.obstacles.append(
            ObstacleMsg(
                track_id=obstacle.track_id,
                class_name=detection.class_name,
                score=detection.score,
                position=_point(obstacle.position),
                size=_vector(obstacle.size),
                yaw=obstacle.yaw,
                velocity=_velocity(obstacle),
                covariance=obstacle.covariance.ravel().tolist(),
                z_variance=obstacle.z_variance,
            )
        )
    return message


def to_detection_3d_array(found: Sequence[Obstacle], seen: DetectionsMsg, header: Header) -> Any:
    """``vision_msgs/Detection3DArray``; needs vision_msgs. It has no place for velocities."""
    message = Detection3DArray(header=header)
    for obstacle in found:
        detection = seen.detections[obstacle.index]
        pose = Pose(position=_point(obstacle.position), orientation=_about_z(obstacle.yaw))
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id = detection.class_name
        result.hypothesis.score = float(detection.score)
        result.pose.pose = pose
        result.pose.covariance = _covariance(obstacle)
        item = Detection3D(header=header, results=[result])
        item.bbox.center, item.bbox.size = pose, _vector(obstacle.size)
        item.id = str(obstacle.track_id) if obstacle.track_id else ''
        message.detections.append(item)
    return message


def to_cloud(points: np.ndarray, header: Header) -> PointCloud2:
    """``sensor_msgs/PointCloud2`` of points ``(N, 3)`` float32."""
    fields = [
        PointField(name=name, offset=4 * axis, datatype=PointField.FLOAT32, count=1)
        for axis, name in enumerate('xyz')
    ]
    count = len(points)
    message = PointCloud2(
        header=header,
        height=1,
        width=count,
        fields=fields,
        point_step=12,
        row_step=12 * count,
        is_dense=True,
    )
    message.data = octets(np.ascontiguousarray(points, '<f4'))
    return message


def to_markers(found: Sequence[Obstacle], seen: DetectionsMsg, header: Header) -> Any:
    """``visualization_msgs/MarkerArray``: bodies, names, and arrows of a second's way."""
    message = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])
    for index, obstacle in enumerate(found):
        detection = seen.detections[obstacle.index]
        speed = float(np.linalg.norm(obstacle.velocity))
        moves = speed > _STILL_MPS
        colour = (1.0, 0.45, 0.1) if moves else (0.2, 0.6, 1.0)
        body = _marker(header, 'body', index, Marker.CYLINDER, colour, 0.5)
        body.pose.position = _point(obstacle.position)
        wide, high = (max(float(size), 0.01) for size in obstacle.size[1:])
        body.scale = Vector3(x=wide, y=wide, z=high)
        name = _marker(header, 'name', index, Marker.TEXT_VIEW_FACING, (1.0, 1.0, 1.0), 1.0)
        x, y, z = obstacle.position
        name.pose.position = _point((x, y, z + obstacle.size[2] / 2 + 0.2))
        name.scale.z = 0.25
        name.text = f'{detection.class_name} {obstacle.track_id or ""}'.strip()
        message.markers += [body, name]
        if moves:
            name.text += f' {speed:.1f} m/s'
            arrow = _marker(header, 'velocity', index, Marker.ARROW, colour, 1.0)
            vx, vy = obstacle.velocity
            arrow.points = [_point((x, y, z)), _point((x + vx, y + vy, z))]
            arrow.scale = Vector3(x=0.06, y=0.14, z=0.0)
            message.markers.append(arrow)
    return message


def to_people(
    found: Sequence[Obstacle], seen: DetectionsMsg, header: Header, classes: Sequence[str]
) -> Any:
    """``people_msgs/People`` of those that are people; needs people_msgs."""
    message = People(header=header)
    for obstacle in found:
        detection = seen.detections[obstacle.index]
        if detection.class_name in classes:
            velocity = np.nan_to_num(obstacle.velocity)
            message.people.append(
                Person(
                    name=str(obstacle.track_id or ''),
                    position=_point(obstacle.position),
                    velocity=_point([*velocity, 0.0]),
                    reliability=float(detection.score),
                )
            )
    return message


def to_dynamic_obstacles(found: Sequence[Obstacle], seen: DetectionsMsg, header: Header) -> Any:
    """``nav2_dynamic_msgs/ObstacleArray`` of what is tracked; needs nav2_dynamic_msgs."""
    message = ObstacleArray(header=header)
    for obstacle in found:
        if not obstacle.track_id:
            continue
        detection = seen.detections[obstacle.index]
        item = DynamicObstacle(
            score=float(detection.score),
            position=_point(obstacle.position),
            velocity=_velocity(obstacle),
            size=_vector(obstacle.size),
        )
        item.uuid.uuid = np.frombuffer(uuid.uuid5(_IDS, str(obstacle.track_id)).bytes, np.uint8)
        place, motion = np.zeros((3, 3)), np.zeros((3, 3))
        place[:2, :2], motion[:2, :2] = obstacle.covariance[:2, :2], obstacle.covariance[2:, 2:]
        place[2, 2] = obstacle.z_variance
        item.position_covariance = place.ravel().tolist()
        item.velocity_covariance = motion.ravel().tolist()
        message.obstacles.append(item)
    return message


def _marker(
    header: Header, namespace: str, index: int, kind: int, colour: tuple[float, ...], alpha: float
) -> Any:
    red, green, blue = colour
    marker = Marker(header=header, ns=namespace, id=index, type=kind, action=Marker.ADD)
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
    return marker


def _covariance(obstacle: Obstacle) -> list[float]:
    """Of x, y, z and the rotations about them, row by row; upright, of any direction."""
    full = np.zeros((6, 6))
    full[:2, :2] = obstacle.covariance[:2, :2]
    full[2, 2] = obstacle.z_variance
    full[5, 5] = _ANY_YAW
    return full.ravel().tolist()


def _velocity(obstacle: Obstacle) -> Vector3:
    x, y = map(float, obstacle.velocity)
    return Vector3(x=x, y=y, z=0.0)


def _point(place: Sequence[float] | np.ndarray) -> Point:
    x, y, z = map(float, place)
    return Point(x=x, y=y, z=z)


def _vector(size: np.ndarray) -> Vector3:
    x, y, z = map(float, size)
    return Vector3(x=x, y=y, z=z)


def _about_z(yaw: float) -> Quaternion:
    return Quaternion(z=math.sin(yaw / 2), w=math.cos(yaw / 2))
