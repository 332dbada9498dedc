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

"""What an answer promises."""

from dataclasses import replace

import numpy as np
import pytest

from e4_ros.vision.detections import Detections


def test_the_highest_score_comes_first_and_dtypes_are_fixed():
    detections = Detections.of([[0, 0, 1, 1], [2, 2, 3, 3]], [0.2, 0.7], [5, 6])
    assert detections.labels.tolist() == [6, 5]
    assert detections.boxes[0].tolist() == [2, 2, 3, 3]
    dtypes = [a.dtype for a in (detections.boxes, detections.scores, detections.labels)]
    assert dtypes == [np.float32, np.float32, np.int64]


def test_equal_scores_keep_their_order():
    detections = Detections.of(np.zeros((4, 4)), [0.5, 0.9, 0.5, 0.5], [0, 1, 2, 3])
    assert detections.labels.tolist() == [1, 0, 2, 3]


def test_above_includes_its_bound():
    detections = Detections.of(np.zeros((4, 4)), [0.9, 0.5, 0.5, 0.3])
    assert len(detections.above(0.5)) == 3
    assert len(detections.above(0.95)) == 0
    assert len(detections.above(0.0)) == 4


def test_an_empty_answer_has_the_right_shapes():
    empty = Detections.empty()
    assert (empty.boxes.shape, empty.scores.shape, empty.labels.shape) == ((0, 4), (0,), (0,))


def test_a_class_is_a_box_over_the_whole_image():
    detections = Detections.of_class(7, 0.8, (480, 640, 3))
    assert detections.boxes.tolist() == [[0, 0, 640, 480]]
    assert detections.labels.tolist() == [7]


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match='boxes'):
        Detections(np.zeros((2, 4)), np.zeros(3), np.zeros(3))


def test_what_belongs_to_a_detection_is_left_out_with_it():
    tracked = replace(
        Detections.of(np.zeros((2, 4)), np.array([0.9, 0.3])),
        ids=np.array([7, 4]),
        velocities=np.array([[1, 2], [3, 4]], np.float32),
    )
    kept = tracked.above(0.5)
    assert kept.ids.tolist() == [7]
    assert kept.velocities.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    'wrong', [{'ids': np.zeros(3, np.int64)}, {'velocities': np.zeros((1, 2))}]
)
def test_ids_and_velocities_of_other_detections_are_refused(wrong):
    answer = Detections.of(np.zeros((2, 4)), np.array([0.9, 0.3]))
    with pytest.raises(ValueError, match='2 detections need'):
        replace(answer, **wrong)
