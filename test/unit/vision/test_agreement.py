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

from e4_ros.vision.agreement import f1
from e4_ros.vision.detections import Detections


def boxes(*lefts, score=0.9, label=0):
    made = np.array([[x, 0, x + 10, 20] for x in lefts], np.float32).reshape(-1, 4)
    return Detections.of(made, np.full(len(made), score), np.full(len(made), label))


@pytest.mark.parametrize(
    ('detections', 'truth', 'expected'),
    [
        (boxes(0, 100), boxes(0, 100), 1.0),
        (boxes(), boxes(), 1.0),
        (boxes(0), boxes(), 0.0),
        (boxes(0), boxes(0, 100), 2 / 3),
        (boxes(0, 1), boxes(0), 2 / 3),  # each true box is found once
        (boxes(0, score=0.5), boxes(0), 0.0),  # only scores above the limit count
        (boxes(0, label=1), boxes(0), 0.0),
        (boxes(3), boxes(0), 1.0),  # IoU 7/13
        (boxes(4), boxes(0), 0.0),  # IoU 6/14
    ],
)
def test_f1_of_known_answers(detections, truth, expected):
    assert f1(detections, truth) == pytest.approx(expected)


def test_as_many_pairs_as_possible():
    # Greedy would give the first box its best partner and leave the second without one.
    assert f1(boxes(2, 5), boxes(0, 3)) == 1.0
