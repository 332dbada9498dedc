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
