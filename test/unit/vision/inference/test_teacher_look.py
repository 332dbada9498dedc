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

"""A look in pieces is the offline teacher's look."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from e4_ros.vision.bundle import load_bundle, shipped_bundle
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.exit_thresholds import ExitThresholds
from e4_ros.vision.inference.factory import make_engine
from e4_ros.vision.inference.teacher_look import TeacherLook
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.teacher.offline_teacher import OfflineTeacher

FIXTURE = Path(__file__).parents[3] / 'fixtures' / 'detector'


@pytest.fixture(scope='module')
def frame():
    small = cv2.cvtColor(cv2.imread(str(FIXTURE / 'vtest_0621.webp')), cv2.COLOR_BGR2RGB)
    return cv2.resize(small, (640, 480))


def test_passes_of_a_robots_engine_add_up_to_the_offline_teachers_look(frame, tmp_path):
    network = load_bundle(shipped_bundle('pedestrian_ssdlite')).network
    engine = make_engine(network, OnnxRuntime(1))
    engine.thresholds = ExitThresholds()
    look, passes = TeacherLook(frame), 0
    while not look.done:
        look.take(engine.process_full(look.part()).detections)
        passes += 1
    assert passes == len(look) > 4
    expected = OfflineTeacher(network, 1, tmp_path).look(frame)
    assert len(expected) >= len(look.full.above(0.5)) >= 1
    np.testing.assert_allclose(look.detections().boxes, expected.boxes, atol=0.02)
    np.testing.assert_allclose(look.detections().scores, expected.scores, atol=1e-4)


def test_the_first_pass_is_over_the_whole_frame(frame):
    look = TeacherLook(frame)
    assert look.part().shape == frame.shape
    found = Detections.of(np.array([[5, 5, 50, 90], [60, 5, 90, 80]]), np.array([0.9, 0.2]))
    look.take(found)
    assert look.full.scores.tolist() == [np.float32(0.9)]
    assert look.part().shape != frame.shape
