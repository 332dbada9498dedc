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

"""What could be sent of a frame: its bytes, what the answer is worth, what has run before.

A table of these is measured per network and footage; `MEASURED` is that of the pedestrian detector
that is shipped. What a network has no table for can only be sent as a picture.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from e4_ros.offload.exchange import LOST
from e4_ros.offload.payloads import Payload, shipped_tables
from e4_ros.offload.request import (
    FEATURES,
    FOLLOW,
    FRAME,
    GO_ON,
    LOCAL,
    NETWORK,
    TAIL,
    LinkState,
    Offload,
    RequestOutcome,
    ServerState,
)


@dataclass(frozen=True)
class Choice:
    """One thing that may be done with a key frame.

    Attributes:
        offload: what is sent; `LOCAL`: nothing.
        sent_bytes: bytes of it.
        f1: F1 of the answer against the full network on the undistorted frame, 0 to 1.
        before: share of the network's multiply-adds that run on the robot before it is sent.
        encode_s: seconds to encode it, on the robot.
    """

    offload: Offload = LOCAL
    sent_bytes: float = 0.0
    f1: float = 1.0
    before: float = 0.0
    encode_s: float = 0.0

    def __post_init__(self) -> None:
        if not (self.sent_bytes >= 0 and 0 <= self.f1 <= 1 and 0 <= self.before <= 1):
            raise ValueError(f'{self} sends, is worth or has run what nothing can')

    @property
    def runs(self) -> str:
        """Key of `ServerState.run_s`: the service, or the cut for tails; empty for none."""
        return self.offload.cut or self.offload.service

    def open(self, server: ServerState) -> bool:
        """Whether the server offers it; nothing is needed for `LOCAL`."""
        sent = self.offload
        if sent.service and sent.service not in server.services:
            return False
        return not sent.cut or sent.cut in server.cuts


NOTHING = Choice()

_QUALITIES, _BITS = (30, 50, 70, 80), (8, 4)
_CUTS = ('/conv_11/Conv_output_0', '/conv_20/Conv_output_0', '/Add_5_output_0')
_JPEG_S, _PACK_S = 1.3e-3, 0.7e-3  # on one core of a Xeon; packing includes zlib
MEASURED_ON = 'pedestrian_ssdlite'

_WAYS = {way.name: way for table in shipped_tables()[:1] for way in table.ways}

FRAMES: tuple[Choice, ...] = tuple(
    Choice(
        Offload(NETWORK, FRAME, quality=quality, meanwhile=meanwhile),
        way.bytes,
        way.f1,
        0.0,
        _JPEG_S,
    )
    for quality in _QUALITIES
    for way in (_WAYS[Payload(FRAME, quality=quality).name],)
    for meanwhile in (GO_ON, FOLLOW)
)
"""Pictures that any network can be sent; sizes and F1 are those of `MEASURED`."""

MEASURED: tuple[Choice, ...] = (
    *FRAMES,
    *(
        Choice(
            Offload(TAIL, FEATURES, cut=cut, bits=bits, meanwhile=meanwhile),
            way.bytes,
            way.f1,
            way.share,
            _PACK_S,
        )
        for cut in _CUTS
        for bits in _BITS
        for way in (_WAYS[Payload(FEATURES, cut, bits).name],)
        for meanwhile in (GO_ON, FOLLOW)
    ),
)
"""What can be sent of a frame to the shipped pedestrian detector elsewhere: means of 30 frames of
the video vtest (768x576), the first of the tables that ship (`payloads.shipped_tables`)."""


def choices_for(known: Sequence[Choice], model: str) -> tuple[Choice, ...]:
    """What a controller chooses from: nothing, and what is known; pictures where nothing is.

    Args:
        known: what was measured for the network that runs; empty: nothing.
        model: name of that network.
    """
    return (NOTHING, *(known or (MEASURED if model == MEASURED_ON else FRAMES)))


UNKNOWN_RATE_BPS = 5e6
UNKNOWN_TRIP_S = 0.02
UNKNOWN_RUN_S = 0.03
FASTEST_BPS = 1e9


@dataclass(frozen=True)
class Way:
    """How a request may fare.

    Attributes:
        chance: how likely that is, 0 to 1; those of all ways sum to 1.
        rate_bps: bits a second; 0: nothing comes through.
        wait_s: seconds that it waits at the server.
    """

    chance: float
    rate_bps: float
    wait_s: float


@dataclass(frozen=True)
class Estimate:
    """What a request is counted on to take, made of what was seen; every figure is finite.

    Attributes:
        ways: how it may fare; the last is the most likely one.
        trip_s: seconds there and back of something small.
        loss: share of requests that are never answered.
        run_s: seconds that the server computes, by `Choice.runs`.
        known: whether a rate was ever measured.
    """

    ways: tuple[Way, ...]
    trip_s: float
    loss: float
    run_s: dict[str, float]
    known: bool

    @classmethod
    def of(cls, link: LinkState, server: ServerState, newest: Sequence[Way] = ()) -> Estimate:
        """Of what was seen; what is no number counts as not known, a rate without end as high.

        Args:
            link: percentiles of the rates; the tenth counts a quarter, the fiftieth the rest.
            server: what it says of itself.
            newest: how the newest requests fared, instead of these; empty: not known.
        """
        low, usual = (_rate(rate) for rate in link.rate_bps)
        wait_s = _seconds(server.wait_s, 0.0)
        ways = (Way(0.25, min(low, usual), wait_s), Way(0.75, usual, wait_s))
        return cls(
            tuple(newest) or ways,
            _seconds(link.round_trip_s, UNKNOWN_TRIP_S),
            link.loss if 0 <= link.loss <= 1 else 0.0,
            {name: _seconds(run_s, UNKNOWN_RUN_S) for name, run_s in server.run_s.items()},
            bool(newest) or all(0 <= rate < math.inf for rate in link.rate_bps),
        )

    def run_of(self, choice: Choice) -> float:
        """Seconds that the server computes for a choice."""
        return self.run_s.get(choice.runs, UNKNOWN_RUN_S)


class Newest:
    """How the newest requests fared: links change within seconds, percentiles of many lag.

    Args:
        kept: number of requests that are remembered; each counts twice as much as the one before.
        fresh_s: seconds after which the newest one says nothing any more.
    """

    def __init__(self, kept: int = 6, fresh_s: float = 5.0) -> None:
        self._kept: deque[tuple[float, float]] = deque(maxlen=kept)
        self._fresh_s, self._came_s = fresh_s, -math.inf

    def note(self, request: RequestOutcome, now_s: float) -> None:
        """A request came back, or did not: then the link had less than its bits by the deadline."""
        bits, send_s = 8 * request.sent_bytes, request.legs_s.get('send', math.nan)
        if request.status == LOST:
            send_s = request.offload.deadline_s
        if bits > 0 and 0 < send_s < math.inf:
            wait_s = _seconds(request.legs_s.get('queue', 0.0), 0.0)
            self._kept.append((min(bits / send_s, FASTEST_BPS), wait_s))
            self._came_s = now_s

    def ways(self, now_s: float) -> list[Way]:
        """How requests may fare; empty where nothing new is known."""
        if now_s - self._came_s > self._fresh_s:
            return []
        total = 2 ** len(self._kept) - 1
        return [Way(2**i / total, rate, wait) for i, (rate, wait) in enumerate(self._kept)]


def _rate(rate_bps: float) -> float:
    return min(rate_bps, FASTEST_BPS) if rate_bps >= 0 else UNKNOWN_RATE_BPS


def _seconds(seconds: float, unknown: float) -> float:
    return seconds if 0 <= seconds < float('inf') else unknown
