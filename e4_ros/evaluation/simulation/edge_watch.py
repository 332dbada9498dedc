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

"""What a client would know of link and server: made of answers and of a heartbeat.

The real client measures the same from its own requests (`offload`); this is its stand-in where
time is simulated.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from e4_ros.offload.request import LinkState, ServerState

HEARTBEAT_S = 1.0
_DOWN_AFTER_S = 2.5
_KEPT = 20


@dataclass(frozen=True)
class Sample:
    """What one answer showed: when it came, the rate it had, and the server's wait and run."""

    at_s: float
    rate_bps: float
    wait_s: float
    runs: str
    run_s: float


class LinkWatch:
    """Keeps what was seen.

    Args:
        services: service → hash, as the server's handshake says.
        cuts: cuts whose tails it runs.
    """

    def __init__(self, services: dict[str, str], cuts: tuple[str, ...]) -> None:
        self._services, self._cuts = services, cuts
        self._rates: deque[float] = deque(maxlen=_KEPT)
        self._lost: deque[bool] = deque(maxlen=_KEPT)
        self._coming: list[Sample] = []
        self._run_s: dict[str, float] = {}
        self._wait_s, self._queue, self._trip_s = 0.0, 0, math.nan
        self._heard_s, self._changed_s, self._up = -math.inf, 0.0, False

    def expect(self, sample: Sample) -> None:
        """An answer will come, maybe late."""
        self._coming.append(sample)

    def lost(self) -> None:
        """A request was not answered and never will be."""
        self._lost.append(True)

    def heartbeat(self, at_s: float, trip_s: float) -> None:
        """Something small came back."""
        self._heard_s, self._trip_s = at_s, trip_s

    def seen(self, now_s: float) -> tuple[LinkState, ServerState]:
        """What is known now."""
        for sample in sorted((s for s in self._coming if s.at_s <= now_s), key=lambda s: s.at_s):
            self._rates.append(sample.rate_bps)
            self._lost.append(False)
            self._wait_s = sample.wait_s
            self._run_s[sample.runs] = sample.run_s
            self._heard_s = max(self._heard_s, sample.at_s)
        self._coming = [sample for sample in self._coming if sample.at_s > now_s]
        up = now_s - self._heard_s < _DOWN_AFTER_S
        if up != self._up:
            self._up, self._changed_s = up, now_s
        rates = np.array(self._rates)
        low, usual = np.quantile(rates, (0.1, 0.5)) if rates.size else (math.nan, math.nan)
        link = LinkState(
            up,
            now_s - self._changed_s,
            (float(low), float(usual)),
            self._trip_s,
            sum(self._lost) / len(self._lost) if self._lost else 0.0,
        )
        if not up:
            return link, ServerState()
        return link, ServerState(
            self._services, self._cuts, self._queue, self._wait_s, dict(self._run_s)
        )
