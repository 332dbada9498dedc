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

"""Models and exits that know some of a network's classes: its labels, and their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from e4_ros.vision.detections import Detections


@dataclass(frozen=True)
class ClassMap:
    """Which of a network's labels the classes of a narrower one stand for.

    A camera of a detector with eighty classes shows five; an exit with maps for these is as quick
    as the exit of a detector that has no more. A model is narrowed where only some of the classes
    are wanted.

    Attributes:
        labels: the network's label of each class of the narrower one, rising; empty where it has
            the network's own classes.
    """

    labels: tuple[int, ...] = ()

    @classmethod
    def of(cls, answers: Iterable[Detections], classes: int, score: float = 0.5) -> ClassMap:
        """The classes that occur.

        Args:
            answers: answers in the network's labels.
            classes: number of the network's classes.
            score: what scores less does not occur.
        """
        found = {int(label) for each in answers for label in each.above(score).labels}
        return cls(tuple(sorted(found)) if 0 < len(found) < classes else ())

    def count(self, classes: int) -> int:
        """Number of the narrower one's classes where the network has so many."""
        return len(self.labels) or classes

    def narrow(self, detections: Detections) -> Detections:
        """An answer of the network in the narrower labels, without what has none."""
        if not self.labels:
            return detections
        places = np.searchsorted(self.labels, detections.labels)
        places = places.clip(max=len(self.labels) - 1)
        known = np.asarray(self.labels)[places] == detections.labels
        return Detections(detections.boxes[known], detections.scores[known], places[known])

    def widen(self, detections: Detections) -> Detections:
        """An answer in narrower labels in the network's."""
        if not self.labels:
            return detections
        return replace(detections, labels=np.asarray(self.labels, np.int64)[detections.labels])


#: All of the network's own classes.
ALL_CLASSES = ClassMap()
