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

"""What can be asked of an edge server, and what is known of it and of the way there.

The words that decisions, the client and the server share. Nothing here sends anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

TAIL, NETWORK, MODEL, TEACHER = 'tail', 'network', 'model', 'teacher'
SERVICES = (TAIL, NETWORK, MODEL, TEACHER)
"""What a server computes: the same network from a cut on, the same network from the picture, a
bigger one, or the offline teacher's look."""

FEATURES, FRAME, REGION = 'features', 'frame', 'region'
FORMS = (FEATURES, FRAME, REGION)
"""What is sent: the tensors at a cut, a JPEG of the frame, or a JPEG of a part of it."""

GO_ON, FOLLOW = 'go_on', 'follow'
MEANWHILE = (GO_ON, FOLLOW)
"""What the robot does after sending: go on with its own network, or let the tracks answer."""

AUTO, NONE = 'auto', 'none'
TRIED = (AUTO, TEACHER, MODEL, NETWORK, TAIL, *(f'{s}/{REGION}' for s in (TEACHER, MODEL, NETWORK)))
"""What may be asked for where no controller decides it. `auto` takes the best that the server has:
the live teacher, else a bigger model, else what the robot's own network would say, earlier."""


@dataclass(frozen=True)
class Offload:
    """What of the next key frames is sent, and what is asked for; `LOCAL` sends nothing.

    Attributes:
        service: one of `SERVICES`; empty: nothing is sent.
        form: one of `FORMS`; only features go to the service `tail`, and only there.
        cut: name of the operation behind which features are taken; empty for pictures.
        bits: bits of a feature's value, 8 or 4.
        quality: JPEG quality of a picture, 1 to 100.
        deadline_s: seconds from the start of the frame until an answer is late.
        meanwhile: one of `MEANWHILE`.
    """

    service: str = ''
    form: str = FRAME
    cut: str = ''
    bits: int = 8
    quality: int = 75
    deadline_s: float = 0.1
    meanwhile: str = GO_ON

    def __post_init__(self) -> None:
        if not self.service:
            return
        if self.service not in SERVICES:
            raise ValueError(f'no service {self.service!r}; there are {", ".join(SERVICES)}')
        if self.form not in FORMS:
            raise ValueError(f'no form {self.form!r}; there are {", ".join(FORMS)}')
        if (self.form == FEATURES) != (self.service == TAIL):
            raise ValueError(f'{self.form} cannot be sent to the service {self.service}')
        if (self.form == FEATURES) != bool(self.cut):
            raise ValueError('features, and nothing else, are taken at a cut')
        if self.bits not in (4, 8):
            raise ValueError(f'{self.bits} bits a value; there are 4 and 8')
        if not 1 <= self.quality <= 100:
            raise ValueError(f'a JPEG quality of {self.quality} is not within 1 to 100')
        if self.meanwhile not in MEANWHILE:
            raise ValueError(f'meanwhile {self.meanwhile!r} is none of {", ".join(MEANWHILE)}')
        if not 0 < self.deadline_s < math.inf:
            raise ValueError(f'a deadline of {self.deadline_s} s is none')


LOCAL = Offload()
"""Nothing is sent."""


@dataclass(frozen=True)
class LinkState:
    """The way to the server, as the last answers have shown it.

    Attributes:
        up: whether the server has answered lately.
        since_s: seconds since that last changed.
        rate_bps: bits a second that a request gets, the tenth and the fiftieth percentile of the
            last ones; NaN where unknown.
        round_trip_s: seconds there and back of something small; NaN where unknown.
        loss: share of the last requests that were not answered at all, 0 to 1.
    """

    up: bool = False
    since_s: float = math.inf
    rate_bps: tuple[float, float] = (math.nan, math.nan)
    round_trip_s: float = math.nan
    loss: float = 0.0


@dataclass(frozen=True)
class ServerState:
    """What the server says of itself with each answer.

    Attributes:
        services: service → hash of what it runs; empty: no server.
        cuts: names of the cuts whose tails it runs.
        queue: number of requests that waited there.
        wait_s: seconds that the last request waited there.
        run_s: service, or cut for tails → seconds that it computes.
    """

    services: Mapping[str, str] = field(default_factory=dict)
    cuts: tuple[str, ...] = ()
    queue: int = 0
    wait_s: float = 0.0
    run_s: Mapping[str, float] = field(default_factory=dict)


LEGS = ('encode', 'send', 'queue', 'run', 'return')
"""Parts of a request's time, in order."""

ROBOT, EDGE = 'robot', 'edge'
PLACES = (ROBOT, EDGE)
"""Where a frame's answer was computed."""


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """What became of one request.

    Attributes:
        offload: what was asked.
        status: one of `exchange.STATUSES`.
        in_time: whether it was answered before its deadline.
        sent_bytes: bytes of the request.
        legs_s: leg → seconds, of `LEGS`, as far as they are known.
        total_s: seconds from the start of the frame until the answer was here; NaN without one.
        stamp_s: stamp of the frame.
        reason: why it was not answered; empty where it was.
    """

    offload: Offload
    status: str
    in_time: bool = False
    sent_bytes: int = 0
    legs_s: Mapping[str, float] = field(default_factory=dict)
    total_s: float = math.nan
    stamp_s: float = math.nan
    reason: str = ''
