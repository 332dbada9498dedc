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

"""What batches and sessions side by side are worth on this machine, measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from e4_ros.vision.inference.batched import BatchedNetwork
from e4_ros.vision.inference.widened import BUCKETS
from e4_ros.vision.runtime.devices import CPU
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.staged_network import StagedNetwork

_ROUNDS = 3  # of all cells in turn, so that a load that comes and goes meets each of them
_LEAST_GAIN = 1.05  # times as many frames, from which a longer wait may be worth it


@dataclass(frozen=True)
class BatchTime:
    """What a batch costs with so many sessions side by side.

    Attributes:
        batch: frames in one run.
        sessions: sessions that run side by side.
        run_s: seconds of one run, median: the wait of every frame in it.
        frame_s: seconds of the machine a frame: the whole time, divided by all frames.
        cpu_s: seconds of a core a frame, over all threads of this process.
    """

    batch: int
    sessions: int
    run_s: float
    frame_s: float
    cpu_s: float


@dataclass(frozen=True)
class BatchTable:
    """Every batch with every number of sessions, on one device.

    Attributes:
        device: device that computed.
        times: what each took.
    """

    device: str
    times: tuple[BatchTime, ...]

    @property
    def pays(self) -> bool:
        """Whether some batch carries more frames than one at a time with as many sessions.

        On a CPU by the time of a core that a frame takes, which what else runs here hardly
        changes; elsewhere by the time that passes.
        """
        alone = {each.sessions: self._cost(each) for each in self.times if each.batch == 1}
        return any(
            each.batch > 1 and alone[each.sessions] >= _LEAST_GAIN * self._cost(each)
            for each in self.times
        )

    def run_s(self, batch: int, sessions: int = 1) -> float:
        """Seconds of a run.

        Raises:
            KeyError: that was not measured.
        """
        found = {(each.batch, each.sessions): each.run_s for each in self.times}
        return found[batch, sessions]

    def to_json(self) -> dict[str, Any]:
        """As plain values, with the verdict."""
        return {'device': self.device, 'pays': self.pays, 'times': [asdict(t) for t in self.times]}

    @classmethod
    def from_json(cls, about: dict[str, Any]) -> BatchTable:
        """From what `to_json` gives."""
        return cls(about['device'], tuple(BatchTime(**each) for each in about['times']))

    def _cost(self, each: BatchTime) -> float:
        return each.cpu_s if self.device == CPU else each.frame_s


def batch_times(
    network: StagedNetwork,
    frame: np.ndarray,
    batches: Sequence[int] = BUCKETS,
    sessions: Sequence[int] = (1, 2),
    seconds: float = 1.0,
    device: str = CPU,
    threads: int = 1,
) -> BatchTable:
    """Measure batches from a frame in memory to its boxes: preparing and decoding count.

    Args:
        network: network to run, without its exits.
        frame: ``(H, W, 3)`` uint8 RGB, of the camera's size.
        batches: buckets to measure, 1 among them.
        sessions: numbers of sessions.
        seconds: how long to measure each cell; each session runs three times at least.
        device: device that computes.
        threads: threads of each session.

    Raises:
        BatchError: the network has a batch of one built in.
        DeviceError: there is no such device here.
    """
    runtime = OnnxRuntime(threads, device)
    copies = {
        batch: [
            BatchedNetwork(network.model, network.stages, runtime, batch)
            for _ in range(max(sessions))
        ]
        for batch in batches
    }
    cells = [(batch, count) for batch in batches for count in sessions]
    found: dict[tuple[int, int], list[BatchTime]] = {cell: [] for cell in cells}
    for batch, ready in copies.items():
        for copy in ready:
            copy.answers([frame] * batch)
    for _ in range(_ROUNDS):
        for batch, count in cells:
            ready = copies[batch][:count]
            found[batch, count].append(_time(ready, [frame] * batch, seconds / _ROUNDS))
    return BatchTable(device, tuple(_median(found[cell]) for cell in cells))


def _time(copies: Sequence[BatchedNetwork], frames: list[np.ndarray], seconds: float) -> BatchTime:
    took: list[list[float]] = [[] for _ in copies]
    end_s = time.perf_counter() + seconds

    def work(copy: BatchedNetwork, mine: list[float]) -> None:
        while not mine or time.perf_counter() < end_s:
            begin_s = time.perf_counter()
            copy.answers(frames)
            mine.append(time.perf_counter() - begin_s)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(copies, took, strict=True)]
    begin_s, cpu_s = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = len(frames) * sum(map(len, took))
    return BatchTime(
        len(frames),
        len(copies),
        float(np.median(np.concatenate(took))),
        (time.perf_counter() - begin_s) / count,
        (time.process_time() - cpu_s) / count,
    )


def _median(rounds: Sequence[BatchTime]) -> BatchTime:
    first = rounds[0]
    figures = np.median([[each.run_s, each.frame_s, each.cpu_s] for each in rounds], axis=0)
    return BatchTime(first.batch, first.sessions, *map(float, figures))
