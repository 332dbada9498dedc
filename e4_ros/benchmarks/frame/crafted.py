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

"""A network that runs as ever, and whose outputs are then written over: any exit, any crowd."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from e4_ros.vision.inference.exit_thresholds import TRACK
from e4_ros.vision.inference.ladder import Ladder
from e4_ros.vision.models.decoders.ssd import SsdDecoder, anchors
from e4_ros.vision.runtime.interfaces import CompiledProgram

_LOGIT, _NOTHING = 2.2, -12.0


class Crafted:
    """Lets the tracks or the network of a ladder answer, with a chosen number of objects.

    Flow, tracker and network run whole; then the tracks' score is 1 or 0 as wanted, and the
    network's boxes are laid out on a lattice. It names every object twice, as real ones do, so that
    suppression has something to suppress.

    Args:
        ladder: of the detector that ships, an SSD without exits of its own.

    Attributes:
        programs: every compiled stage of the network, by name.
    """

    def __init__(self, ladder: Ladder) -> None:
        self._ladder = ladder
        self.programs: dict[str, CompiledProgram] = {
            f'stage{i}': step.stage for i, step in enumerate(ladder.engine._steps)
        }
        self._last = list(self.programs)[-1]
        self._run = self.programs[self._last].run

    def answer(self, exit_name: str, objects: int) -> None:
        """From now on every frame is answered there, and the network finds so many objects."""
        last = self.programs[self._last]
        last.run = _then(self._run, last, self._boxes(last, objects))  # type: ignore[method-assign]
        trust = float(exit_name == TRACK)
        self._ladder.risk.trust = lambda doubt: trust  # type: ignore[method-assign]

    def _boxes(self, compiled: CompiledProgram, objects: int) -> dict[str, np.ndarray]:
        size = self._ladder.model.input_size
        boxes = anchors(size, SsdDecoder())
        encodings = np.zeros(compiled.outputs['encodings'].shape, np.float32)
        logits = np.full(compiled.outputs['logits'].shape, _NOTHING, np.float32)
        # The first map has three anchors a cell; the second is drawn onto the first of its cell.
        rows, columns = SsdDecoder().map_sizes(size)[0]
        first = 3 * _spread(rows * columns, objects)
        logits[0, first, 0], logits[0, first + 1, 0] = _LOGIT, _LOGIT - 1
        encodings[0, first + 1, 2:] = 5 * np.log(boxes[first, 2:] / boxes[first + 1, 2:])
        return {'encodings': encodings, 'logits': logits}


def _spread(places: int, count: int) -> np.ndarray:
    """Indices of ``count`` of so many places, as evenly as they go."""
    return (np.arange(count) * places // max(count, 1)).astype(int)


def _then(
    run: Callable[[], None], compiled: CompiledProgram, written: Mapping[str, np.ndarray]
) -> Callable[[], None]:
    def crafted() -> None:
        run()
        for name, values in written.items():
            compiled.outputs[name].write(values)

    return crafted
