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

"""The way of one camera's frames to an edge server: what is sent, and what comes of it."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from e4_ros.offload.exchange import ANSWERED, EXPIRED, LOST, REFUSED, Answer, Request
from e4_ros.offload.request import (
    EDGE,
    FEATURES,
    FOLLOW,
    LOCAL,
    MODEL,
    REGION,
    ROBOT,
    TEACHER,
    LinkState,
    Offload,
    RequestOutcome,
    ServerState,
)
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.offload_port import NOTHING, Asked, LateAnswer
from e4_ros.vision.tiles import Tile

COUNTS = ('sent', ANSWERED, 'late', EXPIRED, REFUSED, LOST, 'taken', 'corrected', 'dropped')
"""What is counted of one camera's requests. Every request that was sent is answered, expired,
refused or lost, once that is known. Of those answered some came late; some answered their own frame
(taken), some corrected the tracks (corrected), and the rest were of no use (dropped)."""

_KEPT = 4  # late answers that wait for tracks to be corrected


class Client(Protocol):
    """What a camera's way needs of `offload.client.EdgeClient`."""

    @property
    def link(self) -> LinkState:
        """The way to the server."""
        ...

    @property
    def server(self) -> ServerState:
        """The server."""
        ...

    def refusal(self, offload: Offload, camera: str = '') -> str:
        """Why this cannot be sent now; empty where it can."""
        ...

    def send(self, request: Request) -> bool:
        """Hand a request over."""
        ...

    def take(self, camera: str = '') -> list[Answer]:
        """What has come."""
        ...


@dataclass(frozen=True)
class FrameOffload:
    """What an edge server had to do with one frame.

    Attributes:
        place: where its answer was computed, one of `offload.request.PLACES`.
        asked: what was sent of it; `LOCAL` where nothing was.
        requests: what became known of requests, this frame's or earlier ones', since the frame
            before.
        radio_j: joules that sending these took: watts of the radio times seconds of sending, a
            model.
        counts: `COUNTS` of the stream so far.
        why_local: why nothing could be sent of a frame that needed the network; empty where
            something was, or nothing was wanted.
    """

    place: str = ROBOT
    asked: Offload = LOCAL
    requests: Sequence[RequestOutcome] = ()
    radio_j: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    why_local: str = ''

    @property
    def sent_bytes(self) -> int:
        """Bytes of ``requests``."""
        return sum(request.sent_bytes for request in self.requests)


@dataclass
class _Pending:
    """A request whose fate is not known."""

    offload: Offload
    started_s: float
    part: Tile | None
    sent_s: float
    stood_in: bool  # the tracks answer until its deadline


class OffloadStream:
    """One camera's frames on their way to an edge server: an `OffloadPort`.

    Everything but `offload` is the worker's, which answers the frames.

    Args:
        client: sends.
        camera: name of the camera.
        cuts: names of the cuts where the robot's network can be left.
        fallback: what is tried while nobody has decided.
        radio_w: watts of the radio while it sends.
        now: a clock in seconds that never jumps: `time.monotonic`, as the client's.

    Attributes:
        offload: what a controller has decided; None: nothing yet.
        why_local: why nothing was sent of the last frame that needed the network; empty: it was.
    """

    def __init__(
        self,
        client: Client,
        camera: str = '',
        cuts: Collection[str] = (),
        fallback: Callable[[ServerState], Offload] = lambda server: LOCAL,
        radio_w: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.offload: Offload | None = None
        self._client, self._camera, self._cuts = client, camera, frozenset(cuts)
        self._fallback, self._radio_w, self._now = fallback, radio_w, now
        self._counts: Counter[str] = Counter()
        self._last: tuple[float, tuple[int, ...]] = (-math.inf, ())
        self._pending: dict[float, _Pending] = {}
        self._vain = False
        self._begin()
        self._answer: Answer | None = None
        self._came: list[LateAnswer] = []

    def _begin(self) -> None:
        self._started_s = self._now()
        self._wanted, self._asked, self._place = LOCAL, LOCAL, ROBOT
        self._hand_over, self.why_local = False, ''
        self._told: list[RequestOutcome] = []
        self._radio_j = 0.0

    # -- what an engine asks ------------------------------------------------------------------

    @property
    def asks_for_parts(self) -> bool:
        """Whether parts of frames are sent."""
        return self.in_force.form == REGION

    @property
    def better(self) -> bool:
        """Whether the server knows more than the robot's own network in what it is asked for."""
        asked = self._asked if self._asked.service else self._wanted
        return asked.service in (MODEL, TEACHER)

    @property
    def awaits(self) -> bool:
        """Whether an answer that the tracks stand in for can still come in time."""
        now_s = self._now()
        return any(
            each.stood_in and now_s < each.started_s + each.offload.deadline_s
            for each in self._pending.values()
        )

    def begin(self, stamp_s: float, frame_shape: tuple[int, ...]) -> None:
        """A frame comes: take what has come since the one before."""
        if stamp_s < self._last[0] or (self._last[1] and frame_shape != self._last[1]):
            self.reset()
        self._keep_for_later()
        self._begin()
        self._last = stamp_s, frame_shape
        self._wanted = self.in_force
        self._collect()
        self._keep_for_later()

    def overdue(self) -> bool:
        """Whether the tracks stood in for an answer that will not come in time."""
        now_s, vain = self._now(), self._vain
        self._vain = False
        for each in self._pending.values():
            if each.stood_in and now_s >= each.started_s + each.offload.deadline_s:
                each.stood_in, vain = False, True
        return vain

    def ask(self, frame: np.ndarray, part: Tile | None = None, may_follow: bool = False) -> Asked:
        """Send a picture of the frame, or arrange for features."""
        wanted = self._wanted
        self.why_local = self._refusal(wanted)
        if self.why_local or not wanted.service:
            return NOTHING
        follow = may_follow and wanted.meanwhile == FOLLOW
        if wanted.form == FEATURES:
            self._hand_over = follow
            return Asked(wanted.cut, hand_over=follow)
        if wanted.form == REGION:
            return Asked(sent=part is not None and self.ask_part(frame, part))
        sent = self._send(wanted, frame.shape, frame=frame, stood_in=follow)
        return Asked(follow=sent and follow, sent=sent)

    def ask_part(self, frame: np.ndarray, part: Tile) -> bool:
        """Send a part of the frame."""
        wanted = self._wanted
        if wanted.form != REGION or self._refusal(wanted):
            return False
        return self._send(wanted, frame.shape, frame=frame, part=part)

    def features(self, tensors: Mapping[str, np.ndarray]) -> bool:
        """Send the features."""
        shape, follow = self._last[1], self._hand_over
        return self._send(self._wanted, shape, tensors=tensors, stood_in=follow)

    def answer(self, done: bool = False) -> Detections | None:
        """The answer to this frame, if it is there and of use."""
        if not self._asked.service or (done and not self.better):
            return None
        self._collect()
        answer = self._answer
        if answer is None or answer.detections is None:
            return None
        self._answer, self._place = None, EDGE
        self._counts['taken'] += 1
        return answer.detections

    def came(self) -> Sequence[LateAnswer]:
        """Answers to earlier frames."""
        came, self._came = self._came, []
        self._counts['dropped'] += len(came)  # until one is used
        return came

    def used(self, answer: LateAnswer) -> None:
        """The tracks were corrected."""
        self._counts['dropped'] -= 1
        self._counts['corrected'] += 1

    def reset(self) -> None:
        """The stream ends."""
        self._counts['dropped'] += len(self._came) + (self._answer is not None)
        self._pending.clear()
        self._came, self._answer, self._vain = [], None, False
        self._last = (-math.inf, ())

    # -- what the loop around it asks ---------------------------------------------------------

    def told(self) -> FrameOffload:
        """What the server had to do with the frame that was answered last."""
        return FrameOffload(
            self._place,
            self._asked,
            tuple(self._told),
            self._radio_j,
            self.counts,
            self.why_local if self._wanted.service else '',
        )

    @property
    def in_force(self) -> Offload:
        """What is sent of frames that need the network, as things stand."""
        return self._fallback(self._client.server) if self.offload is None else self.offload

    def adopt(self, other: OffloadStream) -> None:
        """Go on with the counts, and what was decided, of one that is used no more."""
        self._counts, self.offload = Counter(other.counts), other.offload

    @property
    def counts(self) -> dict[str, int]:
        """`COUNTS` so far."""
        return {name: self._counts[name] for name in COUNTS}

    # -- how ----------------------------------------------------------------------------------

    def _refusal(self, wanted: Offload) -> str:
        if not wanted.service:
            return ''
        if wanted.form == FEATURES and wanted.cut not in self._cuts:
            return f'the network is not cut at {wanted.cut}'
        return self._client.refusal(wanted, self._camera)

    def _send(
        self,
        wanted: Offload,
        frame_shape: tuple[int, ...],
        tensors: Mapping[str, np.ndarray] | None = None,
        frame: np.ndarray | None = None,
        part: Tile | None = None,
        stood_in: bool = False,
    ) -> bool:
        stamp_s = self._last[0]
        region = None
        if part is not None:
            region = (part.x, part.y, part.x + part.width, part.y + part.height)
        request = Request(
            stamp_s, wanted, self._started_s, frame_shape, tensors, frame, region, self._camera
        )
        if not self._client.send(request):
            self.why_local = self._client.refusal(wanted, self._camera) or 'it could not be sent'
            return False
        self._pending[stamp_s] = _Pending(wanted, self._started_s, part, self._now(), stood_in)
        self._asked = wanted
        self._counts['sent'] += 1
        return True

    def _collect(self) -> None:
        for answer in self._client.take(self._camera):
            pending = self._pending.get(answer.stamp_s)
            if pending is not None and answer.arrived_s < pending.sent_s:
                pending = None  # it is to a frame of the same stamp, of a stream that has ended
            if pending is not None:
                del self._pending[answer.stamp_s]
            self._counts[answer.status] += 1
            answered = answer.status == ANSWERED and answer.detections is not None
            self._counts['late'] += answered and answer.late
            self._tell(answer, pending)
            if pending is None:
                self._counts['dropped'] += answered
            elif not answered:
                self._vain |= pending.stood_in
            elif answer.stamp_s == self._last[0] and pending.part is None:
                self._answer = answer
            else:
                self._came.append(_late(answer, pending.part))

    def _keep_for_later(self) -> None:
        """An answer that its own frame did not take may still correct the tracks."""
        if self._answer is not None:
            self._came.append(_late(self._answer, None))
            self._answer = None
        while len(self._came) > _KEPT:
            del self._came[0]
            self._counts['dropped'] += 1

    def _tell(self, answer: Answer, pending: _Pending | None) -> None:
        legs_s = answer.legs_s
        total_s = math.nan
        if pending is not None and answer.status == ANSWERED:
            total_s = answer.arrived_s - pending.started_s
        offload = LOCAL if pending is None else pending.offload
        in_time = answer.status == ANSWERED and not answer.late
        self._told.append(
            RequestOutcome(
                offload,
                answer.status,
                in_time,
                answer.sent_bytes,
                legs_s,
                total_s,
                answer.stamp_s,
                answer.reason,
            )
        )
        self._radio_j += self._radio_w * self._sending_s(answer)

    def _sending_s(self, answer: Answer) -> float:
        """Seconds that the radio sent: as the answer says, else by the rate of the link."""
        if 'send' in answer.legs_s:
            return max(answer.legs_s['send'], 0.0)
        rate_bps = self._client.link.rate_bps[1]
        return 8 * answer.sent_bytes / rate_bps if rate_bps > 0 else 0.0


def _late(answer: Answer, part: Tile | None) -> LateAnswer:
    assert answer.detections is not None, 'it was answered'
    better = answer.service in (MODEL, TEACHER)
    return LateAnswer(answer.stamp_s, answer.detections, better, part)
