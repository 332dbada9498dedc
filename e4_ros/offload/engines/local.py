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

"""A network in this process: sessions side by side, each of which may take several frames."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

import numpy as np

from e4_ros.offload.engines.base import EngineError
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.batched import BatchedNetwork
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.staged_network import StagedNetwork

_LATE = 'the time for an answer was over before all of it had been computed'


class LocalEngine:
    """Sessions of one network in this process.

    Args:
        network: the network; its exits are not used.
        sessions: sessions side by side, each with memory of its own.
        threads: threads within one operation; None for one per core.
        device: device that computes.
        batch: frames that a session takes at once. On a CPU more than one gains nothing; see
            `e4 bench siblings --part batches`.

    Raises:
        BatchError: the network cannot take so many at once.
        DeviceError: there is no such device here.
    """

    def __init__(
        self,
        network: StagedNetwork,
        sessions: int = 1,
        threads: int | None = 1,
        device: str = 'cpu',
        batch: int = 1,
    ) -> None:
        runtime = OnnxRuntime(threads, device)
        plain = network.without_exits()
        copies = [
            BatchedNetwork(plain.model, plain.stages, runtime, batch) for _ in range(sessions)
        ]
        self._idle: SimpleQueue[BatchedNetwork] = SimpleQueue()
        for copy in copies:
            self._idle.put(copy)
        self._batch, self._device = copies[0].largest, device
        self.largest_batch = self._batch * sessions
        self._pool = ThreadPoolExecutor(sessions, 'engine')

    @property
    def where(self) -> str:
        """Which device of this machine."""
        return f'here, on {self._device}'

    def answers(
        self, frames: Sequence[np.ndarray], min_score: float, left_s: float = math.inf
    ) -> list[Detections]:
        """See `Engine`; looks at the time before each run of a session."""
        end_s = time.monotonic() + left_s
        parts = [frames[at : at + self._batch] for at in range(0, len(frames), self._batch)]
        if len(parts) == 1:
            return self._run(parts[0], min_score, end_s)
        begun = [self._pool.submit(self._run, part, min_score, end_s) for part in parts]
        try:
            return [answer for future in begun for answer in future.result()]
        finally:
            for future in begun:
                future.cancel()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _run(
        self, frames: Sequence[np.ndarray], min_score: float, end_s: float
    ) -> list[Detections]:
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            raise EngineError(_LATE)
        try:
            copy = self._idle.get(timeout=None if math.isinf(left_s) else left_s)
        except Empty:
            raise EngineError(_LATE) from None
        try:
            return copy.answers(frames, min_score)
        finally:
            self._idle.put(copy)
