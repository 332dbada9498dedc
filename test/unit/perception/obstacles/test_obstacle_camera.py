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

"""What camera_info describes: rays and pixels for every lens, and what is no calibration."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from e4_ros.perception.obstacles import Camera, CameraError


@dataclass
class Roi:
    x_offset: int = 0
    y_offset: int = 0
    width: int = 0
    height: int = 0


@dataclass
class Info:
    """The fields of sensor_msgs/CameraInfo."""

    width: int = 640
    height: int = 480
    distortion_model: str = 'plumb_bob'
    d: list = field(default_factory=lambda: [0.0] * 5)
    k: list = field(default_factory=lambda: [500.0, 0, 319.5, 0, 510.0, 239.5, 0, 0, 1])
    r: list = field(default_factory=lambda: [1.0, 0, 0, 0, 1, 0, 0, 0, 1])
    p: list = field(default_factory=lambda: [400.0, 0, 300, 0, 0, 400, 200, 0, 0, 0, 1, 0])
    binning_x: int = 0
    binning_y: int = 0
    roi: Roi = field(default_factory=Roi)


LENSES = {
    'none': Info(distortion_model='', d=[]),
    'plumb_bob': Info(d=[-0.28, 0.07, 0.0005, -0.0003, 0.0]),
    'four of plumb_bob': Info(d=[-0.28, 0.07, 0.0005, -0.0003]),
    'rational_polynomial': Info(
        distortion_model='rational_polynomial', d=[0.4, 0.1, 1e-4, -1e-4, 0.01, 0.7, 0.2, 0.05]
    ),
    'fisheye': Info(
        distortion_model='fisheye',
        d=[-0.02, 0.004, -0.001, 0.0],
        k=[300.0, 0, 319.5, 0, 300.0, 239.5, 0, 0, 1],
    ),
    'equidistant': Info(distortion_model='equidistant', d=[0.05, -0.01, 0.002, 0.0]),
}
PIXELS = np.array([[0, 0], [639, 479], [320, 10], [100.25, 400.5], [319.5, 239.5]])


@pytest.mark.parametrize('name', LENSES)
def test_a_ray_leads_back_to_its_pixel_through_every_lens(name):
    camera = Camera.of_info(LENSES[name])
    rays = camera.rays(PIXELS)
    assert np.allclose(camera.project(7 * rays), PIXELS, atol=0.05)
    assert np.allclose(rays[-1], [0, 0, 1], atol=1e-3)


def test_the_middle_of_the_first_pixel_is_at_nought():
    camera = Camera.pinhole(4, 2, 2.0, 2.0, 1.5, 0.5)
    assert np.allclose(camera.rays(np.array([[1.5, 0.5], [3.5, 0.5]])), [[0, 0, 1], [1, 0, 1]])
    assert camera.ray_table.shape == (2, 4, 3)
    assert np.allclose(camera.ray_table[0, 0], [-0.75, -0.25, 1])


def test_a_barrel_lens_bends_the_corners_outwards():
    bent = Camera.of_info(LENSES['plumb_bob']).rays(np.array([[0.0, 0.0]]))
    straight = Camera.of_info(LENSES['none']).rays(np.array([[0.0, 0.0]]))
    assert np.linalg.norm(bent) > 1.05 * np.linalg.norm(straight)


def test_rectified_images_follow_p_and_have_no_distortion():
    camera = Camera.of_info(LENSES['fisheye'], rectified=True)
    assert np.allclose(camera.rays(np.array([[700.0, 600.0]])), [[1, 1, 1]])


def test_what_is_behind_the_camera_has_no_pixel():
    camera = Camera.of_info(LENSES['plumb_bob'])
    assert np.isnan(camera.project(np.array([[0, 0, -1.0], [0, 0, 0]]))).all()


def test_a_fisheye_sees_no_ray_ahead_beyond_its_picture():
    camera = Camera.of_info(LENSES['equidistant'])
    assert np.isnan(camera.rays(np.array([[20000.0, 239.5]]))).any()


def test_the_rectification_turns_raw_rays_into_the_optical_frame():
    angle = 0.1
    turn = [np.cos(angle), 0, np.sin(angle), 0, 1, 0, -np.sin(angle), 0, np.cos(angle)]
    camera = Camera.of_info(Info(r=turn))
    (ray,) = camera.rays(np.array([[319.5, 239.5]]))
    assert np.allclose(ray[0] / ray[2], np.tan(angle))
    assert np.allclose(camera.project(ray[None]), [[319.5, 239.5]], atol=1e-6)


def test_an_image_of_another_resolution_looks_the_same_way():
    camera = Camera.of_info(LENSES['plumb_bob'])
    half = camera.scaled(320, 240)
    # The corner of the picture is the corner of the first pixel, not its middle.
    assert np.allclose(half.rays(np.array([[-0.5, -0.5]])), camera.rays(np.array([[-0.5, -0.5]])))
    assert np.allclose(half.rays(np.array([[99.5, 9.5]])), camera.rays(np.array([[199.5, 19.5]])))
    with pytest.raises(CameraError, match='640×480 images, which 640×360 are not a scaled'):
        camera.scaled(640, 360)


def test_binning_and_a_region_of_interest_move_the_picture():
    info = Info(binning_x=2, binning_y=2, roi=Roi(100, 50, 400, 300))
    camera = Camera.of_info(info)
    whole = Camera.of_info(Info())
    assert (camera.width, camera.height) == (200, 150)
    assert np.allclose(camera.rays(np.array([[-0.5, -0.5]])), whole.rays(np.array([[99.5, 49.5]])))


@pytest.mark.parametrize(
    ('info', 'rectified', 'says'),
    [
        (Info(width=0, height=0), False, 'no size'),
        (Info(binning_x=1000), False, 'bins 640×480 pixels by 1000×1'),
        (Info(k=[0.0] * 9), False, 'no calibration .*calibrate the camera'),
        (Info(k=[np.nan] * 9), False, 'no calibration'),
        (Info(p=[0.0] * 12), True, 'no calibration .P'),
        (Info(distortion_model='kannala'), False, "'kannala'; known are plumb_bob"),
        (Info(d=[0.1, 0.2]), False, '2 distortion coefficients, plumb_bob has 4 or 5'),
        (Info(distortion_model='fisheye', d=[]), False, '0 distortion coefficients, fisheye has 4'),
        (Info(d=[np.nan] * 5), False, 'not finite'),
    ],
)
def test_what_is_no_calibration_is_refused_with_the_reason(info, rectified, says):
    with pytest.raises(CameraError, match=says):
        Camera.of_info(info, rectified)


def test_a_matrix_of_nought_in_r_is_no_rotation_but_none():
    assert np.array_equal(Camera.of_info(Info(r=[0.0] * 9)).rectification, np.eye(3))
