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

"""Where detected objects stand and how they move: boxes in pixels become obstacles in metres.

A detection's distance comes from a depth image, from a point cloud, or from where the box meets the
ground; tf says where the camera was when the image was taken. All of it is numpy and OpenCV.

>>> from e4_ros.perception.obstacles import ObstacleFinder, Settings
>>> ObstacleFinder(Settings(mode='ground')).settings.max_range_m
20.0
"""

from e4_ros.perception.obstacles.camera import Camera, CameraError
from e4_ros.perception.obstacles.depth import DepthError, depth_of_image, points_of_cloud
from e4_ros.perception.obstacles.finder import Obstacle, ObstacleFinder, Settings
from e4_ros.perception.obstacles.footprints import footprint_points
from e4_ros.perception.obstacles.pose import Pose
from e4_ros.perception.obstacles.stamped import Stamped
from e4_ros.perception.obstacles.transforms import NotYet, TransformBuffer, TransformError

__all__ = [
    'Camera',
    'CameraError',
    'DepthError',
    'NotYet',
    'Obstacle',
    'ObstacleFinder',
    'Pose',
    'Settings',
    'Stamped',
    'TransformBuffer',
    'TransformError',
    'depth_of_image',
    'footprint_points',
    'points_of_cloud',
]
