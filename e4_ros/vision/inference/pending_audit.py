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

"""An early answer, and a judge who has not seen all of its frame yet."""

from __future__ import annotations

import numpy as np

from e4_ros.vision.agreement import disagreement, quality_lost
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.teacher_look import TeacherLook


class PendingAudit:
    """Waits for the passes of the network that it takes to judge one early answer.

    A detector's answer is judged by the offline teacher's look, which its learnt exits learned
    from: the full network alone knows less than they do. A classifier's is judged by the full
    network, which is its teacher.

    Args:
        exit_name: name of the exit that gave the answer.
        said: the answer, as the exit gave it.
        frame: ``(H, W, 3)`` uint8 RGB; a copy is kept.
        task: task of the network, ``detect`` or ``classify``.

    Attributes:
        exit: name of the exit.
    """

    def __init__(self, exit_name: str, said: Detections, frame: np.ndarray, task: str) -> None:
        self.exit = exit_name
        self._said, self._frame, self._task = said, frame.copy(), task
        self._look = TeacherLook(self._frame) if task == 'detect' else None
        self._full: Detections | None = None

    @property
    def done(self) -> bool:
        """Whether no pass is left."""
        return self._full is not None if self._look is None else self._look.done

    def part(self) -> np.ndarray:
        """What the next pass is over: the frame, or a part of it."""
        return self._frame if self._look is None else self._look.part()

    def take(self, detections: Detections) -> None:
        """What the network found there."""
        if self._look is None:
            self._full = detections
        else:
            self._look.take(detections)

    def loss(self) -> float:
        """What the answer lost, in [0, 1], once it is done."""
        if self._look is not None:
            return quality_lost(self._said, self._look.full, self._look.detections(), self._task)
        assert self._full is not None, 'it is done'
        return disagreement(self._said, self._full, self._task)
