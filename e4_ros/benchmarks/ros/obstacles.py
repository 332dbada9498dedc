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

"""Errors of obstacles in a scene that is known exactly: with depth, by a cloud, by the ground."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from e4_ros.benchmarks.ros.scene import Block, boxes_of, depth_of
from e4_ros.perception.obstacles import (
    Camera,
    Obstacle,
    ObstacleFinder,
    Pose,
    Settings,
    depth_of_image,
    points_of_cloud,
)
from e4_ros.perception.obstacles.depth import depth_of_points, points_of_depth
from e4_ros.perception.obstacles.finder import MODES
from e4_ros.vision.detections import Detections

DISTANCES_M = (1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 12.0, 15.0)
BARS = {'depth': 0.05, 'cloud': 0.05, 'ground': 0.10}
"""Largest position error, as a share of the distance."""

CAMERA = Camera.pinhole(640, 480, 400.0, 400.0, 319.5, 239.5)
_HEIGHT_M, _PITCH = 0.6, 0.2  # of the camera; its view begins 0.66 m ahead
_SECONDS, _RATE_HZ, _SETTLED_S = 3.0, 10.0, 1.0
_DEPTH_NOISE = 0.01  # of the distance, where there is noise


def measure(distances_m: Sequence[float], seed: int = 0) -> list[dict[str, Any]]:
    """Errors in every mode at every distance, from a robot that stands or drives.

    Without noise, and with one pixel's deviation of each edge of the boxes and one per cent of the
    depth's.

    Args:
        distances_m: Of the objects from the camera.
        seed: Of the noise.
    """
    rows = []
    for noise_px in (0.0, 1.0):
        for robot in ('static', 'moving'):
            for distance_m in distances_m:
                random = np.random.default_rng(seed)
                for mode, errors in errors_at(distance_m, robot, noise_px, random).items():
                    position_m, velocity_mps = map(float, np.mean(errors, axis=0))
                    rows.append(
                        {
                            'mode': mode,
                            'distance_m': distance_m,
                            'robot': robot,
                            'box_noise_px': noise_px,
                            'position_error_m': round(position_m, 4),
                            'velocity_error_mps': round(velocity_mps, 4),
                        }
                    )
    return rows


def latency(objects: int = 10, rounds: int = 200) -> dict[str, float]:
    """Milliseconds from the messages to obstacles, by mode, for one camera; medians.

    Args:
        objects: How many there are.
        rounds: How often it is tried.
    """
    pose = camera_pose(0.0, 'static')
    blocks = [Block((3.0 + 0.5 * i, -1.5 + 0.35 * i)) for i in range(objects)]
    found = _detections(boxes_of(blocks, 0.0, CAMERA, pose))
    image, cloud = messages_of(depth_of(blocks, 0.0, CAMERA, pose))
    took: dict[str, float] = {}
    for mode in MODES:
        finder, times = ObstacleFinder(Settings(mode)), []
        for index in range(rounds):
            began = time.perf_counter()
            sight: tuple[np.ndarray | None, Camera | None] = None, None
            if mode == 'depth':
                sight = depth_of_image(image), CAMERA
            elif mode == 'cloud':
                sight = depth_of_points(points_of_cloud(cloud), Pose.identity(), CAMERA)
            finder.find(found, index / _RATE_HZ, CAMERA, pose, *sight)
            times.append(time.perf_counter() - began)
        took[mode] = round(float(np.median(times)) * 1e3, 3)
    return took


def messages_of(depth: np.ndarray) -> tuple[SimpleNamespace, SimpleNamespace]:
    """The fields of ``sensor_msgs/Image`` (16UC1) and of an unorganised ``PointCloud2``."""
    height, width = depth.shape
    millimetres = np.nan_to_num(depth * 1000).astype('<u2')
    image = SimpleNamespace(
        height=height,
        width=width,
        encoding='16UC1',
        step=2 * width,
        is_bigendian=0,
        data=millimetres.tobytes(),
    )
    points = points_of_depth(depth, CAMERA).astype('<f4')
    cloud = SimpleNamespace(
        height=1,
        width=points.size // 3,
        fields=[SimpleNamespace(name=n, offset=4 * i, datatype=7) for i, n in enumerate('xyz')],
        point_step=12,
        row_step=points.nbytes,
        is_bigendian=False,
        data=points.tobytes(),
    )
    return image, cloud


def camera_pose(time_s: float, robot: str) -> Pose:
    """The camera's pose in the world: standing, or driving ahead in a gentle S."""
    if robot == 'static':
        return Pose.of_camera(0, 0, _HEIGHT_M, 0, _PITCH, 0)
    since_s = time_s - _SECONDS / 2
    return Pose.of_camera(
        0.15 * since_s, 0.02 * since_s**2, _HEIGHT_M, 0, _PITCH, 0.1 * np.sin(2 * since_s)
    )


def blocks_at(distance_m: float) -> list[Block]:
    """Some that stand and some that walk, that far away in the middle of the run."""
    speed = min(1.0, 0.2 * distance_m)  # so that the nearest ones stay in view
    blocks = []
    for yaw in (0.0, 0.5, np.pi / 4):
        for bearing, velocity in ((0.2, (0.0, 0.0)), (-0.15, (0.3 * speed, 0.95 * speed))):
            middle = distance_m * np.array([np.cos(bearing), np.sin(bearing)])
            start = middle - np.asarray(velocity) * _SECONDS / 2
            blocks.append(Block((start[0], start[1]), velocity, (0.4, 0.4, 1.7), yaw))
    return blocks


def errors_at(
    distance_m: float, robot: str, noise_px: float, random: np.random.Generator
) -> dict[str, list[tuple[float, float]]]:
    """Errors of position and velocity of each object in each image, by mode.

    Those of the first second, in which the filters settle, are left out.

    Args:
        distance_m: Of the objects, in the middle of the run.
        robot: ``static`` or ``moving``.
        noise_px: Standard deviation of the boxes' edges; with any, depth has noise as well.
        random: Of the noise.
    """
    errors: dict[str, list[tuple[float, float]]] = {mode: [] for mode in MODES}
    for block in blocks_at(distance_m):
        blocks = [block]
        finders = {mode: ObstacleFinder(Settings(mode)) for mode in MODES}
        for time_s in np.arange(0, _SECONDS, 1 / _RATE_HZ):
            pose = camera_pose(time_s, robot)
            boxes = boxes_of(blocks, time_s, CAMERA, pose)
            image = depth_of(blocks, time_s, CAMERA, pose)
            if noise_px:
                boxes = boxes + random.normal(0, noise_px, boxes.shape)
                image *= random.normal(1, _DEPTH_NOISE, image.shape).astype(np.float32)
            points = points_of_depth(image, CAMERA)
            for mode, finder in finders.items():
                sight = _sight(mode, image, points)
                found = finder.find(_detections(boxes), time_s, CAMERA, pose, *sight)
                if time_s >= _SETTLED_S:
                    errors[mode] += _errors(found, blocks, time_s)
    return errors


def _errors(
    found: list[Obstacle], blocks: list[Block], time_s: float
) -> Iterator[tuple[float, float]]:
    seen = {obstacle.index: obstacle for obstacle in found}
    for index, block in enumerate(blocks):
        obstacle = seen[index]  # one that was not found has no error: better none at all
        yield (
            float(np.linalg.norm(obstacle.position[:2] - block.middle(time_s))),
            float(np.linalg.norm(obstacle.velocity - block.velocity)),
        )


def _sight(
    mode: str, image: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray | None, Camera | None]:
    if mode == 'ground':
        return None, None
    if mode == 'depth':
        return image, CAMERA
    return depth_of_points(points.reshape(-1, 3), Pose.identity(), CAMERA)


def _detections(boxes: np.ndarray) -> Detections:
    count = len(boxes)
    return Detections(
        boxes.astype(np.float32),
        np.full(count, 0.9, np.float32),
        np.zeros(count, np.int64),
        np.arange(1, count + 1),
        np.zeros((count, 2), np.float32),
    )
