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

"""A network that answers several frames in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.stage_chain import StageChain
from e4_ros.vision.inference.widened import bucket_of, widened
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime.interfaces import Runtime
from e4_ros.vision.staged_network import Part


class BatchedNetwork:
    """Runs a network on up to eight frames at once; one thread at a time may use it.

    Each bucket (1, 2, 4, 8) has sessions of its own, which are made when first needed.

    Args:
        model: preprocessing and decoding of the network.
        stages: its stages, in order.
        runtime: runtime of the stages.
        largest: largest batch; 1 runs one frame after the other.

    Attributes:
        largest: as given.

    Raises:
        BatchError: the network has a batch of one built in, and ``largest`` is more than that.
    """

    def __init__(
        self, model: VisionModel, stages: Sequence[Part], runtime: Runtime, largest: int = 1
    ) -> None:
        self.largest = bucket_of(largest, largest)
        self._model, self._runtime = model, runtime
        self._stages: dict[int, Sequence[Part]] = {1: stages}
        self._chains: dict[int, StageChain] = {}
        self._chain(self.largest)

    def answers(self, frames: Sequence[np.ndarray], min_score: float = 0.2) -> list[Detections]:
        """The network's answers to frames, in their order.

        Args:
            frames: ``(H, W, 3)`` uint8 RGB each, of any sizes.
            min_score: score below which detections are left out, 0 to 1.
        """
        found: list[Detections] = []
        while len(found) < len(frames):
            some = frames[len(found) : len(found) + self.largest]
            chain = self._chain(bucket_of(len(some), self.largest))
            for row, frame in enumerate(some):
                chain.boundaries[0].write(self._model.preprocess(frame)[0], (row,))
            chain.run()
            outputs = chain.outputs()
            found += [
                self._model.decode(_row(outputs, row), frame.shape, min_score)
                for row, frame in enumerate(some)
            ]
        return found

    def _chain(self, batch: int) -> StageChain:
        if batch not in self._chains:
            stages = [
                Part(widened(part.program, batch), part.work, part.classes)
                for part in self._stages[1]
            ]
            self._chains[batch] = StageChain(self._model, stages, self._runtime)
        return self._chains[batch]


def _row(outputs: Mapping[str, np.ndarray], row: int) -> dict[str, np.ndarray]:
    return {name: values[row : row + 1] for name, values in outputs.items()}
