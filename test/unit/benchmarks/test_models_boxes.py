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

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.benchmarks.models.boxes import agreement, pairs
from e4_ros.vision.detections import Detections

BOX = [100.0, 100.0, 200.0, 200.0]
MOVED = [100.4, 100.0, 200.4, 200.0]  # overlaps it by .992
FAR = [102.0, 100.0, 202.0, 200.0]  # by .96


def found(*boxes: tuple[list[float], float, int]) -> Detections:
    where, scores, labels = zip(*boxes, strict=True) if boxes else ([], [], [])
    return Detections.of(np.array(where), np.array(scores), np.array(labels))


@pytest.mark.parametrize(
    ('theirs', 'same'),
    [
        ((MOVED, 0.505, 0), True),
        ((FAR, 0.5, 0), False),
        ((BOX, 0.52, 0), False),
        ((BOX, 0.5, 1), False),
    ],
)
def test_boxes_are_the_same_by_overlap_score_and_class(theirs, same):
    compared = pairs(found((BOX, 0.5, 0)), found(theirs), 0.3)
    assert compared.same.tolist() == [same, same]


def test_a_box_that_one_side_lacks_is_seen_from_either_side():
    other = ([300.0, 0, 400, 100], 0.6, 0)
    for sides in ((found((BOX, 0.5, 0), other), found((BOX, 0.5, 0))), (found(), found(other))):
        for ours, theirs in (sides, sides[::-1]):
            assert not agreement([pairs(ours, theirs, 0.3)])['kept']


def test_what_just_reaches_the_least_score_may_just_miss_it_on_the_other_side():
    assert pairs(found((BOX, 0.301, 0)), found((BOX, 0.299, 0)), 0.3).same.tolist() == [True]
    assert len(pairs(found((BOX, 0.299, 0)), found((BOX, 0.295, 0)), 0.3).same) == 0


def test_of_copies_each_has_its_own_partner():
    copies = found((BOX, 0.9, 0), (MOVED, 0.4, 0))
    assert pairs(copies, copies, 0.3).same.all()


def test_nothing_found_is_no_agreement():
    said = agreement([pairs(found(), found(), 0.3)] * 3)
    assert said == {
        'frames': 3,
        'boxes': 0,
        'same': None,
        'worst_iou': None,
        'worst_score': None,
        'kept': False,
    }
