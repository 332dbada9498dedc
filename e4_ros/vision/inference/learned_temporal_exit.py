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

"""The learnt temporal exit: a small network that reads the memory and the frame."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from e4_ros.vision.detections import Detections
from e4_ros.vision.inference import grid_boxes
from e4_ros.vision.inference.temporal_exit import TemporalExit
from e4_ros.vision.inference.temporal_input import PRIOR, as_input, prior_maps, thumbnail
from e4_ros.vision.runtime.interfaces import Buffer, Runtime
from e4_ros.vision.staged_network import Part

_SNAPSHOT_S = 3.0  # a frame this old moves to the next slot of the memory


class LearnedTemporalExit(TemporalExit):
    """Runs the temporal network on each frame of a stream.

    The memory's first slot holds the frame before; the others hold snapshots that are about three
    and six seconds old. The prior is where tracks say that the objects are, or else the last
    answer, moved on at constant velocity.

    Args:
        part: the network, with the inputs ``image``, ``memory``, ``filled`` and ``prior``, and at
            least the outputs ``peaks``, ``sides``, ``gate``, ``diversity``, ``in_distribution``,
            ``seen`` and ``state``.
        runtime: runtime of the network.
    """

    _snapshot: np.ndarray | None
    _snapshot_s: float

    def __init__(self, part: Part, runtime: Runtime):
        inputs = {name: runtime.buffer(shape) for name, shape in part.program.inputs.items()}
        self._image, self._memory = inputs['image'], inputs['memory']
        self._filled, self._maps = inputs['filled'], inputs['prior']
        self._classes, self._count = part.classes, self._maps.shape[1] // PRIOR
        self._compiled = runtime.compile(part.program, inputs)
        super().__init__(part.work, self._compiled.outputs['state'], self._compiled.device)

    @property
    def outputs(self) -> dict[str, Buffer]:
        """The network's outputs for the frame last looked at; the next look overwrites them."""
        return self._compiled.outputs

    def detections(self, min_score: float) -> Detections:
        """What the network sees in the frame last looked at."""
        peaks, sides = (self._compiled.outputs[name].read()[0] for name in ('peaks', 'sides'))
        found = grid_boxes.decode(peaks, sides, self._frame_shape, min_score)
        return self._classes.widen(found)

    @override
    def remember(self, detections: Detections, computed: bool) -> None:
        self.tracks.update(detections, self._stamp_s)
        seen = self._compiled.outputs['seen'].read()[0]
        self._keep(0, seen)
        if self._stamp_s - self._snapshot_s >= _SNAPSHOT_S:
            if self._snapshot is not None:
                self._keep(2, self._snapshot)
            self._snapshot, self._snapshot_s = seen.copy(), self._stamp_s
            self._keep(1, seen)

    def _keep(self, slot: int, seen: np.ndarray) -> None:
        self._memory.write(seen, (0, slot))
        self._filled.write(np.ones(()), (0, slot))

    def _forget(self) -> None:
        self._filled.write(np.zeros(()))
        self._snapshot = None
        self._snapshot_s = -np.inf

    def _compare(self, frame: np.ndarray) -> tuple[float, float]:
        self._image.write(as_input(thumbnail(frame)))
        prior = self.tracks.predict(self._stamp_s) if self._prior is None else self._prior
        shown = self._classes.narrow(prior)
        self._maps.write(prior_maps(shown, self._frame_shape, self._count))
        self._compiled.run()
        gate, diversity, self.in_distribution = (
            float(self._compiled.outputs[name].read()[0, 0])
            for name in ('gate', 'diversity', 'in_distribution')
        )
        if not self._filled.read()[0, 0]:
            return 1.0, 0.0  # without a memory there is nothing to answer from
        return diversity, gate
