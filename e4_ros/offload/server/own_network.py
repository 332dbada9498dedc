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

"""The robot's own network on the server: from a cut on, or from the picture."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from e4_ros.offload.cuts import OffloadCut
from e4_ros.offload.exchange import TensorShapes
from e4_ros.offload.identity import network_hash
from e4_ros.offload.request import NETWORK, TAIL
from e4_ros.offload.server.service import Work
from e4_ros.vision.detections import Detections
from e4_ros.vision.runtime.interfaces import Buffer, CompiledProgram, Program, Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e4_ros.vision.networks.trainable import TrainableModel


class _Compiled:
    """A program that several threads run, each on buffers of its own; loaded once."""

    def __init__(self, program: Program, runtime: Runtime):
        self._program, self._runtime = program, runtime
        inputs = self._buffers()
        self._first = runtime.compile(program, inputs)
        self._free: queue.LifoQueue[tuple[CompiledProgram, dict[str, Buffer]]] = queue.LifoQueue()
        self._free.put((self._first, inputs))

    def _buffers(self) -> dict[str, Buffer]:
        return {
            name: self._runtime.buffer(tuple(shape)) for name, shape in self._program.inputs.items()
        }

    @contextmanager
    def ran_on(self, tensors: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """The program's outputs by name, good until the block ends."""
        try:
            compiled, inputs = self._free.get_nowait()
        except queue.Empty:
            inputs = self._buffers()
            compiled = self._first.bound_to(inputs)
        try:
            for name, buffer in inputs.items():
                buffer.write(tensors[name])
            compiled.run()
            yield {name: buffer.read() for name, buffer in compiled.outputs.items()}
        finally:
            self._free.put((compiled, inputs))


class _OwnNetwork:
    """What both services have in common."""

    name = ''

    def __init__(self, model: TrainableModel, runtime: Runtime):
        self._model, self._runtime = model, runtime
        self.hash = network_hash(model, model.network.fingerprint)
        self.class_names = tuple(model.class_names)
        self.cuts: Mapping[str, TensorShapes] = {}
        self.largest_batch = 1  # two in one run take a CPU as long as two runs
        self.about = model.name


class TailService(_OwnNetwork):
    """The network from a cut on.

    Args:
        model: the network.
        cuts: where robots may take features.
        runtime: runtime of the tails.
    """

    name = TAIL

    def __init__(self, model: TrainableModel, cuts: Sequence[OffloadCut], runtime: Runtime):
        super().__init__(model, runtime)
        self.cuts = {cut.cut: cut.tensors for cut in cuts}
        self._tails: dict[str, _Compiled] = {}
        self._lock = threading.Lock()

    def load(self) -> None:
        """Compile every tail now, and run it once, so that no request waits for that."""
        for cut, shapes in self.cuts.items():
            with self._tail(cut).ran_on({n: np.zeros(s, np.float32) for n, s in shapes.items()}):
                pass

    def run(self, batch: Sequence[Work]) -> list[Detections]:
        """Answer requests that were sent from one cut."""
        found = []
        for work in batch:
            assert work.tensors is not None, 'the form is checked before'
            with self._tail(work.cut).ran_on(work.tensors) as outputs:
                found.append(self._model.decode(outputs, work.frame_shape, work.min_score))
        return found

    def _tail(self, cut: str) -> _Compiled:
        with self._lock:
            if cut not in self._tails:
                program = self._model.network.stages([cut])[1].program
                self._tails[cut] = _Compiled(program, self._runtime)
            return self._tails[cut]


class NetworkService(_OwnNetwork):
    """The whole network on a picture.

    Args:
        model: the network.
        runtime: runtime of the network.
    """

    name = NETWORK

    def __init__(self, model: TrainableModel, runtime: Runtime):
        super().__init__(model, runtime)
        self._whole = _Compiled(model.network.stages()[0].program, runtime)

    def load(self) -> None:
        """Run it once, so that no request waits for what the first run takes."""
        with self._whole.ran_on({'x': np.zeros((1, 3, *self._model.input_size), np.float32)}):
            pass

    def run(self, batch: Sequence[Work]) -> list[Detections]:
        """Answer pictures; boxes are in their pixels."""
        found = []
        for work in batch:
            assert work.picture is not None, 'the form is checked before'
            image: Any = self._model.preprocess(work.picture)
            with self._whole.ran_on({'x': image}) as outputs:
                found.append(self._model.decode(outputs, work.picture.shape, work.min_score))
        return found
