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

"""An exit between two stages at run time: head and gate in one program, and its memory."""

from __future__ import annotations

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.inference import grid_boxes
from e4_ros.vision.inference.temporal_exit import TemporalExit, certainty
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime.interfaces import Buffer, Runtime
from e4_ros.vision.staged_network import Part


class ExitStep:
    """Answers from the tensor between two stages.

    Per frame the engine asks `most` and, if that might do, `score`; where the thresholds take the
    score, `detections`; and tells `remember` once the frame has its answer.

    An exit without a gate scores by how sure its answer is of itself (as BranchyNet's do, Teerapi-
    ttayanon et al., arXiv 1709.01686), and remembers nothing.

    Args:
        part: head and gate in one program. It takes ``features`` and, with a gate, ``memory``,
            ``filled`` and ``state``; it gives ``peaks`` and ``sides`` or ``logits`` and, with a
            gate, ``gate``, ``diversity``, ``token`` and ``next_state``.
        features: the tensor that the stage before it leaves behind.
        temporal: the stream's temporal exit, which looks at every frame before this one does; None
            where there is none.
        model: model whose outputs a class head approximates.
        runtime: runtime of the exit.
        carried: the state that the exit before leaves behind; None where none does.

    Attributes:
        name: name of the exit.
        answered: buffers that its answer is decoded from.
        state: buffer that the next exit may read; None without a gate.
    """

    def __init__(
        self,
        part: Part,
        features: Buffer,
        temporal: TemporalExit | None,
        model: VisionModel,
        runtime: Runtime,
        carried: Buffer | None = None,
    ):
        self.name = part.name
        self._classes = part.classes
        self._model = model
        self._temporal = temporal
        self._answer = Detections.empty()
        self._gated = 'gate' in part.program.outputs
        hosted = temporal is not None and carried is not None and carried is temporal.state
        far = hosted and runtime.host is not runtime
        self._state_there = carried if far and self._gated else None
        inputs = {'features': features}
        if self._gated:
            shapes = part.program.inputs
            self._memory = runtime.buffer(shapes['memory'])
            self._filled = runtime.buffer(shapes['filled'])
            # The temporal exit leaves its state in the host's memory; a head elsewhere has a copy.
            if carried is None or far:
                carried = runtime.buffer(shapes['state'])
            self._state_here = carried
            inputs |= {
                'memory': self._memory,
                'filled': self._filled,
                'state': self._state_here,
            }
        self._compiled = runtime.compile(part.program, inputs)
        outputs = self._compiled.outputs
        self.answered = [outputs[n] for n in ('peaks', 'sides', 'logits') if n in outputs]
        self.state = self._compiled.outputs['next_state'] if self._gated else None

    def most(self) -> float:
        """The most that `score` can be for this frame; costs nothing."""
        return 1.0 if self._temporal is None else self._temporal.in_distribution

    def score(self, frame_shape: tuple[int, ...], min_score: float) -> float:
        """Run head and gate on what the stage has just left.

        Args:
            frame_shape: ``(H, W, ...)`` of the source frame.
            min_score: detections that score less are left out of the answer.

        Returns:
            The gate score in [0, 1].
        """
        if self._state_there is not None:
            self._state_here.write(self._state_there.read())
        self._compiled.run()
        outputs = {name: buffer.read() for name, buffer in self._compiled.outputs.items()}
        if 'logits' in outputs:
            self._answer = self._model.decode(outputs, frame_shape, min_score)
        else:
            peaks, sides = outputs['peaks'][0], outputs['sides'][0]
            size, placement = self._model.input_size, self._model.place(frame_shape)
            found = grid_boxes.decode_from_input(peaks, sides, size, placement, min_score)
            self._answer = self._classes.widen(found)
        score = float(outputs['gate'][0, 0]) if self._gated else certainty(self._answer)
        return score * self.most()

    def detections(self) -> Detections:
        """The answer that was scored last."""
        return self._answer

    def remember(self, detections: Detections) -> None:
        """Hear what this or a later exit answered for the frame scored last; keep its token."""
        if not self._gated:
            return
        held = self._memory.read().copy()
        token = self._compiled.outputs['token'].read()
        self._memory.write(np.concatenate([token[:, None], held[:, :-1]], 1))
        filled = self._filled.read().copy()
        self._filled.write(np.concatenate([np.ones((1, 1)), filled[:, :-1]], 1))

    def reset(self) -> None:
        """Forget the stream."""
        self._answer = Detections.empty()
        if self._gated:
            self._filled.write(np.zeros(()))
