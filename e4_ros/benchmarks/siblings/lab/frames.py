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

"""What the robot's process tells of each frame, and what comes of many of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from e4_ros.vision.detections import Detections

GRACE_S = 0.005
"""So much later than the deadline a frame is late."""


@dataclass(frozen=True)
class Sent:
    """What became of a request that was known when a frame was answered.

    Attributes:
        status: one of `offload.request.STATUSES`.
        in_time: whether it was answered before its deadline.
        service: what was asked.
        sent_bytes: bytes of the request.
        total_s: seconds from its frame's start until the answer was there; NaN without one.
        legs_s: leg → seconds, as far as they are known.
    """

    status: str
    in_time: bool
    service: str
    sent_bytes: int
    total_s: float
    legs_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def added_s(self) -> float:
        """Seconds that were neither computing nor waiting on the server; NaN where unknown."""
        legs = [self.legs_s.get(name, math.nan) for name in ('encode', 'send', 'return')]
        return float(sum(legs))


@dataclass(frozen=True)
class AnsweredFrame:
    """One frame that was answered.

    Attributes:
        number: of the frame in the stream, from 0; what is missing was dropped.
        arrived_s: when it came, in seconds of CLOCK_MONOTONIC.
        waited_s: seconds until its turn.
        latency_s: seconds from then to its answer.
        place: where the answer was computed, one of `offload.request.PLACES`.
        exit: what answered it.
        answer: what was said.
        energy_j: joules of the board, modelled.
        radio_j: joules of the radio, modelled.
        sent_bytes: bytes that were sent of it.
        requests: what became of requests since the frame before.
        link_up: whether the robot believed in its server.
    """

    number: int
    arrived_s: float
    waited_s: float
    latency_s: float
    place: str
    exit: str
    answer: Detections
    energy_j: float = math.nan
    radio_j: float = 0.0
    sent_bytes: int = 0
    requests: Sequence[Sent] = ()
    link_up: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain values for a line of JSON."""
        answer = self.answer
        return {
            'n': self.number,
            'at': round(self.arrived_s, 6),
            'w': round(self.waited_s, 6),
            'l': round(self.latency_s, 6),
            'p': self.place,
            'e': self.exit,
            'b': np.round(answer.boxes, 1).tolist(),
            's': np.round(answer.scores, 3).tolist(),
            'c': answer.labels.tolist(),
            'j': None if math.isnan(self.energy_j) else self.energy_j,
            'r': self.radio_j,
            'k': self.sent_bytes,
            'q': [
                [s.status, s.in_time, s.service, s.sent_bytes, _plain(s.total_s), dict(s.legs_s)]
                for s in self.requests
            ],
            'u': self.link_up,
        }

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> AnsweredFrame:
        """The frame of which a line was made."""
        answer = Detections.of(np.array(said['b']), np.array(said['s']), np.array(said['c'], int))
        requests = [
            Sent(status, in_time, service, sent, math.nan if total is None else total, legs)
            for status, in_time, service, sent, total, legs in said['q']
        ]
        energy_j = math.nan if said['j'] is None else said['j']
        return cls(
            said['n'], said['at'], said['w'], said['l'], said['p'], said['e'], answer, energy_j,
            said['r'], said['k'], requests, said['u'],
        )  # fmt: skip


@dataclass(frozen=True)
class Drive:
    """All that a robot's process told of one drive.

    Attributes:
        frames: the frames that were answered, in order.
        received: number of frames that the camera handed over.
        dropped: number of those that a newer one replaced before their turn.
        failed: number of those that could not be answered at all.
    """

    frames: Sequence[AnsweredFrame]
    received: int
    dropped: int
    failed: int = 0

    def late(self, deadline_s: float) -> int:
        """Number of frames that were answered later than the deadline and its grace."""
        return sum(frame.latency_s > deadline_s + GRACE_S for frame in self.frames)

    def latency_ms(self, percent: float) -> float:
        """A percentile of the latency in milliseconds; NaN without frames."""
        if not self.frames:
            return math.nan
        return 1e3 * float(np.percentile([frame.latency_s for frame in self.frames], percent))

    @property
    def requests(self) -> list[Sent]:
        """What became of all requests."""
        return [request for frame in self.frames for request in frame.requests]

    def mean(self, name: str) -> float:
        """Mean of an attribute of the frames; NaN without frames, or where it is unknown."""
        return float(np.mean([getattr(frame, name) for frame in self.frames] or [math.nan]))


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
