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

"""The parameters of the node that places detections in metres."""

from __future__ import annotations

from e4_ros.bringup.node_parameters.common import AUTOSTART, DIAGNOSTICS_PERIOD
from e4_ros.bringup.parameter_spec import ParameterSpec
from e4_ros.perception.obstacles.finder import MODES, Settings

PARAMETERS = (
    AUTOSTART,
    ParameterSpec(
        'mode',
        Settings.mode,
        'Where distances come from. depth: a depth image on depth; cloud: a point cloud on points; '
        'ground: where a box meets the ground, for cameras without either.',
        choices=MODES,
    ),
    ParameterSpec(
        'target_frame',
        'odom',
        'Frame of all outputs; its z axis points up. One that does not move with the robot, such '
        'as odom or map: in base_link everything that stands would move when the robot does.',
    ),
    ParameterSpec(
        'camera_pose',
        '',
        'Pose of the camera in the target frame instead of tf, for one that never moves: x y z in '
        'metres, roll pitch yaw in radians, as of a body that looks along x, such as '
        '"0 0 1.2 0 0.3 0" for 1.2 m above the ground, looking down a little.',
    ),
    ParameterSpec(
        'rectified',
        False,
        'The images are rectified ones (image_rect): P of camera_info holds, without distortion.',
    ),
    ParameterSpec(
        'ground_z', Settings.ground_z, 'Height of the ground in the target frame, m.', -100.0, 100.0
    ),
    ParameterSpec(
        'max_range_m',
        Settings.max_range_m,
        'What is further away is no obstacle.',
        0.5,
        200.0,
    ),
    ParameterSpec(
        'classes',
        [''],
        'Classes that are obstacles, by their names; none for all.',
    ),
    ParameterSpec(
        'people',
        ['person', 'pedestrian'],
        'Classes that are people, for ~/people, where people_msgs is installed.',
    ),
    ParameterSpec(
        'box_sigma_px',
        Settings.box_sigma_px,
        "Standard deviation of a box's edges in pixels; the covariances are made of it.",
        0.1,
        50.0,
    ),
    ParameterSpec(
        'acceleration',
        Settings.acceleration,
        'Standard deviation of the acceleration of objects in m/s²: less makes velocities '
        'smoother, more makes them quicker.',
        0.01,
        50.0,
    ),
    ParameterSpec(
        'slop_s',
        0.05,
        'Longest time between the stamps of an image and of the depth that belongs to it, s.',
        0.0,
        1.0,
    ),
    ParameterSpec(
        'wait_s',
        0.3,
        'How long detections wait for depth and tf of their time, s; then they are dropped.',
        0.0,
        10.0,
    ),
    ParameterSpec(
        'footprint_spacing_m',
        0.1,
        'Between two points on the outline of an obstacle; not more than a cell of the costmap.',
        0.01,
        1.0,
    ),
    DIAGNOSTICS_PERIOD,
)
