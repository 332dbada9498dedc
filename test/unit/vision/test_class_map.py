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

from e4_ros.vision.class_map import ALL_CLASSES, ClassMap
from e4_ros.vision.detections import Detections


def labelled(*labels, score=0.9):
    count = len(labels)
    scores = np.linspace(score, score - 0.1, count) if count else np.zeros(0)
    return Detections.of(np.tile([0, 0, 9, 9], (count, 1)), scores, np.array(labels))


def test_an_answer_there_and_back_keeps_what_the_exit_knows():
    classes = ClassMap((2, 5, 79))
    there = classes.narrow(labelled(79, 0, 2, 5, 78, 2))
    assert there.labels.tolist() == [2, 0, 1, 0]
    assert classes.widen(there).labels.tolist() == [79, 2, 5, 2]
    assert len(classes.narrow(labelled(0, 1, 78))) == 0
    assert len(classes.widen(Detections.empty())) == 0


def test_classes_that_are_sure_somewhere_occur():
    answers = [labelled(7, 3), labelled(4, score=0.4), labelled(3)]
    assert ClassMap.of(answers, 80) == ClassMap((3, 7))
    assert ClassMap.of(answers, 80).count(80) == 2


def test_where_all_occur_or_none_there_is_no_map():
    assert ClassMap.of([labelled(0)], 1) == ClassMap.of([], 80) == ALL_CLASSES
    assert ALL_CLASSES.count(80) == 80
    answer = labelled(3)
    assert ALL_CLASSES.narrow(answer) is ALL_CLASSES.widen(answer) is answer
