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

"""Go on here while what runs elsewhere cannot be had."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from e4_ros.offload.engines.base import Engine, EngineError
from e4_ros.vision.detections import Detections

_log = logging.getLogger(__name__)


class FallbackEngine:
    """Asks one engine, and another while the first fails.

    Args:
        first: engine that is asked.
        other: engine for the time that the first does not answer.
        again_s: seconds after a failure until the first is asked again.
        now: clock, seconds.
    """

    def __init__(
        self,
        first: Engine,
        other: Engine,
        again_s: float = 5.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first, self._other = first, other
        self._again_s, self._now = again_s, now
        self._lock = threading.Lock()
        self._failed_s, self._reason = -math.inf, ''
        self.failures = 0
        self.largest_batch = first.largest_batch

    @property
    def where(self) -> str:
        """Which of the two answers now, and why the first does not."""
        if self._reason:
            return f'{self._other.where}, since {self._reason}'
        return self._first.where

    def answers(
        self, frames: Sequence[np.ndarray], min_score: float, left_s: float = math.inf
    ) -> list[Detections]:
        """See `Engine`; a failure of the first costs its time, then the other answers."""
        begin_s = self._now()
        if begin_s - self._failed_s >= self._again_s:
            try:
                found = self._first.answers(frames, min_score, left_s)
            except EngineError as error:
                self._fails(str(error))
            else:
                if self._reason:
                    self._reason = ''
                    _log.warning('frames are answered by %s again', self._first.where)
                return found
        return self._other.answers(frames, min_score, left_s - (self._now() - begin_s))

    def close(self) -> None:
        """Close both."""
        self._first.close()
        self._other.close()

    def _fails(self, reason: str) -> None:
        with self._lock:
            new, self._reason = not self._reason, reason
            self._failed_s = self._now()
            self.failures += 1
        if new:
            _log.warning('frames are answered %s, since %s', self._other.where, reason)
