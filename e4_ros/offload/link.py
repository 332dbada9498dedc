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

"""What is known of the way to a server, from what has come back on it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from e4_ros.offload.request import LEGS, LinkState

_WINDOW_S = 10.0  # of what the rate and the round trip are made of
_CLOCK_WINDOW_S = 120.0  # two clocks drift by a few parts in 10⁵: 2 ms
_SAMPLES = 64
_OUTCOMES = 20
_LEAST_BITS = 16_000  # of what shows a rate: below, it is all round trip
_SLACK_S = 0.01  # by which two clocks may differ over a request
_LEAST_S = 1e-4  # of a send leg: what two clocks and a scheduler leave of it


@dataclass(frozen=True)
class Exchange:
    """One message there and one back, seen from both ends.

    Attributes:
        sent_s: the robot's clock when it was sent.
        received_s: the server's clock when it came there.
        replied_s: the server's clock when the reply left.
        arrived_s: the robot's clock when that came.
        sent_bytes: bytes of the message.
    """

    sent_s: float
    received_s: float
    replied_s: float
    arrived_s: float
    sent_bytes: int

    @property
    def travel_s(self) -> float:
        """Seconds on the way, there and back; no clock of one side is compared with the other's."""
        return max(0.0, (self.arrived_s - self.sent_s) - (self.replied_s - self.received_s))

    @property
    def plausible(self) -> bool:
        """Whether the other side spent no more time on it than it was away."""
        there_s = self.replied_s - self.received_s
        return 0 <= there_s <= self.arrived_s - self.sent_s + _SLACK_S

    @property
    def offset_s(self) -> float:
        """The server's clock less the robot's, if both ways took equally long."""
        there, back = self.received_s - self.sent_s, self.replied_s - self.arrived_s
        return (there + back) / 2


class LinkEstimator:
    """Rate, round trip, loss, and how far apart the two clocks are."""

    def __init__(self) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=_SAMPLES)
        self._clocks: deque[Exchange] = deque(maxlen=_SAMPLES)
        self._rates: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)
        self._outcomes: deque[bool] = deque(maxlen=_OUTCOMES)
        self._round_trip_s = math.nan
        self._offset_s = math.nan
        self._up, self._changed_s = False, -math.inf

    @property
    def up(self) -> bool:
        """Whether the server has answered lately."""
        return self._up

    def set_up(self, up: bool, now_s: float) -> None:
        """Say whether the server answers."""
        if up != self._up:
            self._up, self._changed_s = up, now_s

    def new_server(self) -> None:
        """Its clock may be another; the way there may be another, too."""
        self._clocks.clear()
        self._exchanges.clear()
        self._rates.clear()
        self._outcomes.clear()
        self._round_trip_s = self._offset_s = math.nan

    def came_back(self, exchange: Exchange, request: bool) -> None:
        """Note what came back.

        Args:
            exchange: when it went and came.
            request: whether it was a request; else a question who is there.
        """
        now_s = exchange.arrived_s
        self._exchanges.append(exchange)
        self._clocks.append(exchange)
        clocks = [each for each in self._clocks if now_s - each.arrived_s <= _CLOCK_WINDOW_S]
        self._offset_s = min(clocks, key=lambda each: each.travel_s).offset_s
        recent = [each for each in self._exchanges if now_s - each.arrived_s <= _WINDOW_S]
        self._round_trip_s = min(each.travel_s for each in recent)
        if request:
            self._outcomes.append(True)
        bits = 8 * exchange.sent_bytes
        if bits >= _LEAST_BITS:
            alone_s = self.send_s(exchange) - self._round_trip_s / 2
            self._rates.append((now_s, bits / max(alone_s, _LEAST_S)))

    def lost(self, sent_bytes: int, waited_s: float, now_s: float) -> None:
        """Note a request that was not answered: the link had less than this rate for it."""
        self._outcomes.append(False)
        if 8 * sent_bytes >= _LEAST_BITS:
            self._rates.append((now_s, 8 * sent_bytes / max(waited_s, _LEAST_S)))

    def send_s(self, exchange: Exchange) -> float:
        """Seconds of the way there."""
        return max(0.0, exchange.received_s - self._offset_s - exchange.sent_s)

    def return_s(self, exchange: Exchange) -> float:
        """Seconds of the way back."""
        return max(0.0, exchange.arrived_s - (exchange.replied_s - self._offset_s))

    def legs(
        self, exchange: Exchange, encode_s: float, queue_s: float, run_s: float
    ) -> Mapping[str, float]:
        """Seconds of each of `request.LEGS`."""
        send_s, return_s = self.send_s(exchange), self.return_s(exchange)
        return dict(zip(LEGS, (encode_s, send_s, queue_s, run_s, return_s), strict=True))

    def state(self, now_s: float) -> LinkState:
        """What is known now."""
        rates = [rate for at_s, rate in self._rates if now_s - at_s <= _WINDOW_S]
        low, middle = np.percentile(rates, (10, 50)) if rates else (math.nan, math.nan)
        lost = self._outcomes.count(False) / len(self._outcomes) if self._outcomes else 0.0
        since_s = now_s - self._changed_s
        return LinkState(self._up, since_s, (float(low), float(middle)), self._round_trip_s, lost)
