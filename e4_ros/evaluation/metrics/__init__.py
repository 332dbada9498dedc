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

"""How good answers are: against labels that people drew, or against other answers.

Example:
    One person is labelled in two frames; the answers find it in the second and invent another.

    >>> import numpy as np
    >>> from e4_ros.vision.detections import Detections
    >>> box = np.array([[0.0, 0.0, 10.0, 20.0]])
    >>> labels = Labels('two frames', [FrameLabels.of(box), FrameLabels.of(box)])
    >>> found = Detections.of(np.vstack([box, box + 50]), np.array([0.9, 0.6]))
    >>> counts = count([Detections.empty(), found], labels)
    >>> counts.hits, counts.detections, counts.labels, counts.f1
    (1, 2, 2, 0.5)
"""

from e4_ros.evaluation.metrics.agreement import agreement, f1, top1
from e4_ros.evaluation.metrics.counts import Counts, count
from e4_ros.evaluation.metrics.intervals import f1_difference, f1_interval
from e4_ros.evaluation.metrics.judge import (
    Compared,
    Delay,
    Judged,
    Row,
    Tracking,
    compare,
    judge,
)
from e4_ros.evaluation.metrics.labels import FrameLabels, Labels, LabelsError

__all__ = [
    'Compared',
    'Counts',
    'Delay',
    'FrameLabels',
    'Judged',
    'Labels',
    'LabelsError',
    'Row',
    'Tracking',
    'agreement',
    'compare',
    'count',
    'f1',
    'f1_difference',
    'f1_interval',
    'judge',
    'top1',
]
