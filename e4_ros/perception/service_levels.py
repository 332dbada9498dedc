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
"""Service levels of cameras: whose turn it is, what is too late, and how deep a frame may go.

Each camera may have a time within which an answer is wanted, counted from the image's arrival by
this machine's clock (stamps may be off by an hour). Then

* the image that will be late first is next (earliest deadline first, as in BCEdge's peer DeepRT),
  where the newest image replaces the one before it, the image that will be replaced first;
* where tracks can answer, up to `KEPT` images of a camera wait for their turn: after a burst each
  of them can still be in time; where every image needs the network the newest replaces it;
* an image that could not be in time at any depth is dropped before anything is computed;
* a frame goes no deeper than its own slack and that of the images behind it allow, by the seconds
  that each exit has taken here: the tracks' answer in time is worth more than the network's late.
  Nor does one that is followed by a newer one of its camera, which the network is better spent on.

Three rules keep that from starving anybody. A camera that is answered in time far less often than
another goes first. One that has had no answer for `PATIENCE_S`, because none can be in time, gets
one that is late. And after as long without the network a frame may go as deep as its exits want.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from e4_ros.perception.exit_times import ExitTimes
from e4_ros.perception.newest_slots import ByPeriod, Waiting
from e4_ros.perception.schedule import CameraState, Schedule
from e4_ros.vision.inference.exit_thresholds import CLOSER, FULL, TEMPORAL, TRACK

if TYPE_CHECKING:
    from e4_ros.vision.inference.stream_engine import StreamEngine

PATIENCE_S = 1.0
"""After so many seconds without an answer, or without the network, a camera's frame may be late."""
KEPT = 8
"""Images of a camera that may wait where tracks can answer them."""
LAST = 100
"""Images of each camera over which shares are taken."""
BAR = 0.05
"""Share of images that may be late or dropped before the diagnostics warn."""
_LESS = 0.6  # of the best camera's share in time, below which a camera goes first
_FEW = 10  # images, before which shares say nothing


@dataclass
class Followed:
    """What a camera's stream can do now; see `Ladder`.

    Attributes:
        exits: exits that may be taken now, the cheapest first; the whole network is the last.
        follows: whether tracks could answer the next frame.
    """

    exits: Callable[[], Sequence[str]] = lambda: (FULL,)
    follows: Callable[[], bool] = lambda: False

    @classmethod
    def of(cls, engine: StreamEngine) -> Followed:
        """The stream of an engine, which this does not keep alive: a node lets its network go."""
        held = weakref.ref(engine)

        def exits() -> Sequence[str]:
            now = held()
            return (FULL,) if now is None else list(now.paths)

        return cls(exits, lambda: bool(getattr(held(), 'follows', False)))

    def cheapest(self) -> str:
        """Where the next frame can be answered first."""
        names = [name for name in self.exits() if name != TRACK or self.follows()]
        return names[0] if names else FULL


@dataclass
class _Camera:
    slo_s: float
    stream: Followed = field(default_factory=Followed)
    times: ExitTimes = field(default_factory=ExitTimes)
    missed: deque[bool] = field(default_factory=lambda: deque(maxlen=LAST))
    limited: deque[bool] = field(default_factory=lambda: deque(maxlen=LAST))
    answered_s: float = -math.inf
    network_s: float = -math.inf
    slack_s: float = math.nan
    late: int = 0
    too_late: int = 0

    @property
    def missed_share(self) -> float:
        return sum(self.missed) / len(self.missed) if self.missed else 0.0


class ServiceLevels:
    """Keeps what was promised of each camera, and the seconds that exits take. See `Turns`.

    Safe to use from several threads.

    Args:
        slo_s: of each camera, seconds from an image's arrival until its answer is late; 0: never.
        now: time source in seconds that never jumps.

    Attributes:
        schedule: what a controller decided; None: images that are too late are dropped, and depth
            follows the seconds measured here.

    Raises:
        ValueError: a time is negative or not finite.
    """

    def __init__(self, slo_s: Sequence[float], now: Callable[[], float] = time.monotonic) -> None:
        for seconds in slo_s:
            if not 0 <= seconds < math.inf:
                raise ValueError(f'an answer within {seconds} s cannot be wanted')
        self.schedule: Schedule | None = None
        self._cameras = [_Camera(seconds) for seconds in slo_s]
        self._now, self._lock = now, threading.Lock()
        self._by_period = ByPeriod()

    @property
    def wanted(self) -> bool:
        """Whether any camera has a service level."""
        return any(camera.slo_s for camera in self._cameras)

    def attach(self, place: int, stream: Followed) -> None:
        """Say what a camera's stream can do; what its exits take is measured anew."""
        with self._lock:
            self._cameras[place].stream, self._cameras[place].times = stream, ExitTimes()

    # -- turns --------------------------------------------------------------------------------

    def keeps(self, place: int) -> int:
        """How many images of a camera may wait; see `Turns`."""
        camera, schedule = self._cameras[place], self.schedule or Schedule()
        limited = schedule.margin > 0 and schedule.depth_s != {}
        return KEPT if limited and camera.slo_s and camera.stream.follows() else 1

    def choose(self, waiting: Sequence[Waiting], now_s: float) -> tuple[int | None, list[int]]:
        """Whose turn it is, and whose images are too late; see `Turns`."""
        if not self.wanted:
            return self._by_period.choose(waiting, now_s)
        with self._lock:
            hopeless = [each for each in waiting if self._is_hopeless(each, now_s)]
            dropped = [each.stream for each in hopeless]
            for place in dropped:
                self._cameras[place].too_late += 1
                self._cameras[place].missed.append(True)
            left = [each for each in waiting if each not in hopeless]
            if not left:
                return None, dropped
            behind = self._far_behind(left)
            return min(behind or left, key=self._lost_s).stream, dropped

    def deepest(self, place: int, arrived_s: float, waiting: Sequence[Waiting] = ()) -> str:
        """The deepest exit that a frame may be answered at, now that its turn has come.

        Args:
            place: whose frame it is.
            arrived_s: when it came.
            waiting: what waits behind it.

        Returns:
            An exit of the stream; `FULL` where nothing is limited.
        """
        if not self.wanted:
            return FULL
        now_s = self._now()
        with self._lock:
            camera = self._cameras[place]
            took = self._took(place)
            held = took and now_s - camera.network_s <= PATIENCE_S
            chosen = self._fitting(place, arrived_s, waiting, now_s) if held else FULL
            camera.limited.append(chosen != FULL)
            return chosen

    def has_time(self, place: int, waiting: Sequence[Waiting]) -> bool:
        """Whether a pass of the network on no answer's way lets those that wait be in time.

        Args:
            place: whose network it is.
            waiting: what waits.
        """
        now_s = self._now()
        with self._lock:
            pass_s = self._cameras[place].times.seconds(FULL)
            return all(
                not self._cameras[each.stream].slo_s
                or now_s + pass_s + self._cheapest_s(each.stream) <= self._lost_s(each)
                for each in waiting
            )

    def answered(self, place: int, exit_name: str, arrived_s: float, began_s: float) -> bool:
        """An answer is out.

        Args:
            place: whose.
            exit_name: where it was answered.
            arrived_s: when its image came.
            began_s: when its turn came.

        Returns:
            Whether it was late.
        """
        now_s = self._now()
        with self._lock:
            camera = self._cameras[place]
            camera.times.add(exit_name, now_s - began_s, now_s)
            camera.answered_s = now_s
            if exit_name not in (TRACK, TEMPORAL):
                camera.network_s = now_s
            if not camera.slo_s:
                return False
            camera.slack_s = arrived_s + camera.slo_s - now_s
            late = camera.slack_s < 0
            camera.late += late
            camera.missed.append(late)
            return late

    def replaced(self, place: int) -> None:
        """An image gave way to a newer one, or could not be used: it gets no answer."""
        with self._lock:
            if self._cameras[place].slo_s:
                self._cameras[place].missed.append(True)

    # -- what is known ------------------------------------------------------------------------

    def states(
        self, names: Sequence[str], waiting: Sequence[Waiting], periods_s: Sequence[float]
    ) -> list[CameraState]:
        """The queue of each camera, for controllers.

        Args:
            names: of all cameras.
            waiting: what waits.
            periods_s: seconds from image to image of each; 0 where unknown.
        """
        now_s = self._now()
        queues = [[each for each in waiting if each.stream == p] for p in range(len(names))]
        with self._lock:
            return [
                CameraState(
                    name,
                    len(queue),
                    max(now_s - queue[0].arrived_s, 0.0) if queue else 0.0,
                    camera.slo_s,
                    periods_s[place] if place < len(periods_s) and periods_s[place] else math.nan,
                    camera.missed_share,
                )
                for place, (name, camera, queue) in enumerate(
                    zip(names, self._cameras, queues, strict=True)
                )
            ]

    def facts(self, place: int) -> Mapping[str, str]:
        """What diagnostics show of a camera: name → value; empty where nothing was promised."""
        with self._lock:
            camera = self._cameras[place]
            if not camera.slo_s:
                return {}
            limited = sum(camera.limited) / len(camera.limited) if camera.limited else 0.0
            return {
                'slo_ms': f'{1e3 * camera.slo_s:g}',
                'missed_percent': f'{100 * camera.missed_share:.1f}',
                'late': str(camera.late),
                'too_late': str(camera.too_late),
                'slack_ms': f'{1e3 * camera.slack_s:.1f}',
                'limited_percent': f'{100 * limited:.1f}',
                **{f'takes_ms.{n}': f'{1e3 * s:.1f}' for n, s in camera.times.all().items()},
            }

    def complaint(self, place: int, period_s: float = 0.0) -> str:
        """Why a camera's service level is not kept, and what would be needed; empty where it is.

        Args:
            place: which.
            period_s: seconds from image to image; 0 where unknown.
        """
        with self._lock:
            camera = self._cameras[place]
            if not camera.slo_s or len(camera.missed) < _FEW or camera.missed_share <= BAR:
                return ''
            share, slo_ms = camera.missed_share, 1e3 * camera.slo_s
            told = f'{share:.0%} of the last {len(camera.missed)} images were late or got no answer'
            took = {name: 1e3 * seconds for name, seconds in camera.times.all().items()}
            least = min(took, key=lambda name: took[name], default='')
            if least and took[least] > slo_ms:
                return (
                    f'{told}: nobody can answer within {slo_ms:g} ms here, the cheapest answer '
                    f'({least}) takes {took[least]:.1f} ms. Ask for {2 * took[least]:.0f} ms or '
                    'more (camera_slo_ms), or name a cheaper model (camera_models)'
                )
            if took.get(FULL, 0.0) > slo_ms:
                return (
                    f'{told}: the whole network takes {took[FULL]:.1f} ms, which is more than the '
                    f'{slo_ms:g} ms that are wanted, so key frames are late. Ask for '
                    f'{1.5 * took[FULL]:.0f} ms or more, or name a cheaper model'
                )
            pace = f', this one every {1e3 * period_s:.0f} ms' if period_s else ''
            return (
                f'{told}: the cameras together ask for more than this machine computes{pace}. '
                'Send fewer images (see ~/camera_rate), allow more time (camera_slo_ms), or more '
                'loss (risk)'
            )

    # -- arithmetic, under the lock -----------------------------------------------------------

    def _took(self, place: int) -> Mapping[str, float]:
        """Exit → seconds that depth is chosen by; empty: depth is the exits' own choice."""
        schedule, measured = self.schedule or Schedule(), self._cameras[place].times.all()
        took = measured if schedule.depth_s is None else schedule.depth_s
        if schedule.margin == 0:
            return {}
        return {name: schedule.margin * max(seconds, 1e-9) for name, seconds in took.items()}

    def _cheapest_s(self, place: int) -> float:
        camera = self._cameras[place]
        seconds = camera.times.seconds(camera.stream.cheapest())
        return 0.0 if math.isnan(seconds) else seconds

    def _deadline_s(self, each: Waiting) -> float:
        slo_s = self._cameras[each.stream].slo_s
        if slo_s:
            return each.arrived_s + slo_s
        # Without one of its own: a period after its turn was due, and behind the patient ones.
        longest_s = max(camera.slo_s for camera in self._cameras)
        return max(each.due_s, each.arrived_s - each.period_s) + longest_s

    def _lost_s(self, each: Waiting) -> float:
        """When an image is late, or gives way to the next one of its camera."""
        deadline_s = self._deadline_s(each)
        if not each.period_s or self.keeps(each.stream) > 1:
            return deadline_s
        if not self._cameras[each.stream].slo_s:
            return deadline_s
        return min(deadline_s, each.arrived_s + each.period_s)

    def _is_hopeless(self, each: Waiting, now_s: float) -> bool:
        camera = self._cameras[each.stream]
        drops = self.schedule is None or self.schedule.drop_late
        if not drops or not camera.slo_s:
            return False
        if now_s + self._cheapest_s(each.stream) <= self._deadline_s(each):
            return False
        if TRACK in camera.stream.exits() and not camera.stream.follows():
            # The first of a stream: late itself, and the others are in time for it.
            return now_s > self._deadline_s(each) and now_s - camera.answered_s < PATIENCE_S
        return now_s - camera.answered_s < PATIENCE_S

    def _far_behind(self, waiting: Sequence[Waiting]) -> list[Waiting]:
        """Those that are in time so much less often than the best that they go first."""
        known = [c for c in self._cameras if c.slo_s and len(c.missed) >= _FEW]
        best = max((1 - camera.missed_share for camera in known), default=0.0)
        return [
            each
            for each in waiting
            if self._cameras[each.stream] in known
            and 1 - self._cameras[each.stream].missed_share < _LESS * best
        ]

    def _fitting(
        self, place: int, arrived_s: float, waiting: Sequence[Waiting], now_s: float
    ) -> str:
        """The deepest exit after which this frame and those behind it can still be in time."""
        camera, took = self._cameras[place], self._took(place)
        if any(each.stream == place for each in waiting):
            return camera.stream.cheapest()
        limit_s = arrived_s + camera.slo_s if camera.slo_s else math.inf
        before_s = 0.0  # what those that are due first need at least
        for each in sorted(waiting, key=self._lost_s):
            if not self._cameras[each.stream].slo_s or self._is_hopeless(each, now_s):
                continue
            before_s += self._cheapest_s(each.stream)
            spare_s = self._lost_s(each) - before_s
            if spare_s > now_s:  # one that is late whatever happens limits nobody
                limit_s = min(limit_s, spare_s)
        cheapest = camera.stream.cheapest()
        for name in reversed([n for n in camera.stream.exits() if n != CLOSER]):
            if name == cheapest or now_s + took.get(name, 0.0) <= limit_s:
                return name
        return cheapest
