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
"""Several cameras over a measured table of batches: who is answered, when and how deep.

Time is simulated, what frames take was measured. Images come periodically, at random (Poisson) or
in bursts. Some of them want the network: which ones is given beforehand, as if the scene decided
alone, so that every policy is played on the same images and a bound can be computed
(`camera_bound`); where the tracks had to do for want of time, the next image wants it, too. An
answer in time is worth 1, one by the tracks where the network was wanted `HELD`, any other nothing.

What the node does is played by its own code (`ServiceLevels`, and controllers through `Decision`);
`RIVALS` are the others.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from e4_ros.perception.camera_costs import CameraCosts
from e4_ros.perception.controller import (
    Controller,
    Observation,
    Outcome,
    StreamState,
)
from e4_ros.perception.newest_slots import NewestSlots
from e4_ros.perception.schedule import CameraState, Schedule
from e4_ros.perception.service_levels import Followed, ServiceLevels

HELD = 0.7
"""What an answer by tracks is worth where the network was wanted: F1 of frames that tracks carried
on for two or three frames was .56 to .83 on a moving and a standing camera."""
ARRIVALS = ('periodic', 'poisson', 'burst')
_BURST = 4  # images that come at once
_NOISE = 0.1  # standard deviation of the logarithm of what a run takes


@dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        camera: its camera.
        arrived_s: when it came.
        wants: whether it wants the network.
        slo_s: seconds until its answer is late.
        factor: times the usual that its computation takes.
    """

    camera: int
    arrived_s: float
    wants: bool
    slo_s: float
    factor: float = 1.0

    @property
    def deadline_s(self) -> float:
        """When its answer is late."""
        return self.arrived_s + self.slo_s


@dataclass(frozen=True)
class CameraWorld:
    """Cameras, their images and the machine.

    Attributes:
        slo_s: service level of each camera in seconds.
        images: all images, in order of arrival.
        table: what they take.
        period_s: mean seconds from image to image of each camera.
    """

    slo_s: Sequence[float]
    images: Sequence[Image]
    table: CameraCosts
    period_s: Sequence[float]


def make_world(
    table: CameraCosts,
    load: float,
    slo_s: Sequence[float] = (0.05, 0.1, 0.2, 0.2),
    arrivals: str = 'periodic',
    seconds: float = 20.0,
    wanted: float = 0.4,
    seed: int = 0,
) -> CameraWorld:
    """Cameras of one rate.

    Args:
        table: what frames take.
        load: what the images ask for, by what the machine computes one at a time.
        slo_s: service level of each camera.
        arrivals: one of `ARRIVALS`.
        seconds: length of the play.
        wanted: share of images that want the network.
        seed: of chance.

    Raises:
        ValueError: there are no such arrivals.
    """
    if arrivals not in ARRIVALS:
        raise ValueError(f'no arrivals {arrivals!r}; there are {", ".join(ARRIVALS)}')
    rng = np.random.default_rng(seed)
    mean_s = table.track_s + wanted * table.full_s
    period_s = len(slo_s) * mean_s / load
    images = []
    for camera, level_s in enumerate(slo_s):
        for arrived_s in _arrivals(arrivals, period_s, seconds, rng):
            wants = bool(rng.random() < wanted)
            factor = float(np.exp(rng.normal(0, _NOISE)))
            images.append(Image(camera, arrived_s, wants, level_s, factor))
    images.sort(key=lambda image: image.arrived_s)
    return CameraWorld(slo_s, images, table, [period_s] * len(slo_s))


def _arrivals(kind: str, period_s: float, seconds: float, rng: np.random.Generator) -> list[float]:
    start_s = rng.uniform(0, period_s)
    if kind == 'periodic':
        jitter = rng.uniform(-0.1, 0.1, int(seconds / period_s) + 1) * period_s
        times = start_s + np.arange(len(jitter)) * period_s + jitter
    elif kind == 'poisson':
        times = np.cumsum(rng.exponential(period_s, int(2 * seconds / period_s) + 8))
    else:
        starts = np.cumsum(rng.exponential(_BURST * period_s, int(2 * seconds / period_s) + 8))
        times = (starts[:, None] + np.arange(_BURST) * 0.004).ravel()
    return sorted(float(t) for t in times if 0 <= t < seconds)


@dataclass
class Play:
    """What became of all images.

    Attributes:
        world: what was played.
        in_time, late, dropped, held: number of images of each camera; held ones are in time, too.
        ages_s: seconds from the arrival of each answered image to its answer.
        values: sum of what answers are worth.
        end_s: when the last answer was out.
    """

    world: CameraWorld
    in_time: list[int] = field(init=False)
    late: list[int] = field(init=False)
    dropped: list[int] = field(init=False)
    held: list[int] = field(init=False)
    ages_s: list[float] = field(default_factory=list)
    values: float = 0.0
    end_s: float = 0.0

    def __post_init__(self) -> None:
        cameras = len(self.world.slo_s)
        self.in_time, self.late = [0] * cameras, [0] * cameras
        self.dropped, self.held = [0] * cameras, [0] * cameras

    def answer(self, image: Image, now_s: float, deep: bool) -> bool:
        """An answer is out; returns whether it is in time."""
        self.ages_s.append(now_s - image.arrived_s)
        self.end_s = max(self.end_s, now_s)
        if now_s > image.deadline_s:
            self.late[image.camera] += 1
            return False
        held = image.wants and not deep
        self.in_time[image.camera] += 1
        self.held[image.camera] += held
        self.values += HELD if held else 1.0
        return True

    def drop(self, image: Image) -> None:
        """An image gets no answer."""
        self.dropped[image.camera] += 1

    @property
    def images(self) -> int:
        """All of them."""
        return len(self.world.images)

    @property
    def miss_percent(self) -> float:
        """Share of the images that had no answer in time."""
        return 100 * (1 - sum(self.in_time) / max(self.images, 1))

    @property
    def held_percent(self) -> float:
        """Share of the images that had to do with the tracks' answer."""
        return 100 * sum(self.held) / max(self.images, 1)

    @property
    def starvation(self) -> float:
        """Share in time of the camera that is best off, by that of the one worst off; 1 at best."""
        sent = np.bincount([i.camera for i in self.world.images], minlength=len(self.in_time))
        shares = np.array(self.in_time) / np.maximum(sent, 1)
        return float(shares.max() / max(shares.min(), 1 / max(sent.max(), 1)))

    @property
    def throughput_hz(self) -> float:
        """Answers a second, late ones too."""
        last_s = self.world.images[-1].arrived_s if self.world.images else 0.0
        return len(self.ages_s) / max(self.end_s, last_s, 1e-9)

    @property
    def latency_s(self) -> float:
        """Mean age of an answer in seconds."""
        return float(np.mean(self.ages_s)) if self.ages_s else math.inf

    @property
    def utility(self) -> float:
        """BCEdge's: the logarithm of answers a second by their latency in seconds."""
        if not self.ages_s:
            return -math.inf
        return math.log(self.throughput_hz / max(self.latency_s, 1e-6))

    @property
    def value(self) -> float:
        """Mean worth of an image, 0 to 1."""
        return self.values / max(self.images, 1)


class LevelsPlayer:
    """The node's own rules over simulated time, and whatever a controller decides.

    Args:
        world: what is played.
        controller: decides schedules; None: the rules alone.
    """

    def __init__(self, world: CameraWorld, controller: Controller | None = None) -> None:
        self.world, self.controller, self.play = world, controller, Play(world)
        self._begun = [False] * len(world.slo_s)
        self._owed = [False] * len(world.slo_s)  # the network was wanted, and still is
        self.now_s = 0.0
        self.levels = ServiceLevels(world.slo_s, lambda: self.now_s)
        for place in range(len(world.slo_s)):
            self.levels.attach(
                place, Followed(lambda: ('track', 'full'), partial(self._begun.__getitem__, place))
            )
        self._slots: NewestSlots[Image] = NewestSlots(
            len(world.slo_s), lambda: self._arrives_s or self.now_s, self.levels, self.play.drop
        )
        self._arrives_s = 0.0
        self._next = 0
        self.last: Outcome | None = None

    def run(self) -> Play:
        """Play all of it."""
        while self.turn():
            pass
        return self.play

    def turn(self) -> bool:
        """One turn: decide, choose, compute. False at the end."""
        self._admit()
        if not self._slots.waiting:
            if self._next >= len(self.world.images):
                return False
            self.now_s = max(self.now_s, self.world.images[self._next].arrived_s)
            self._admit()
        schedule = self._decide()
        if schedule.wait_s and self._slots.waiting < schedule.batch * schedule.instances:
            self._wait(schedule)
        taken = self._take(schedule)
        if taken:
            self._compute(taken, schedule)
        return True

    def queues(self) -> list[CameraState]:
        """The queue of each camera, as the node has it."""
        names = [str(camera) for camera in range(len(self.world.slo_s))]
        return self.levels.states(names, self._slots.look(), self._slots.periods_s())

    def _decide(self) -> Schedule:
        if self.controller is not None:
            stream = StreamState(waiting=self._slots.waiting)
            seen = Observation(self.now_s, stream, last=self.last, cameras=self.queues())
            decided = self.controller.decide(seen).schedule
            if decided is not None:
                self.levels.schedule = decided
        return self.levels.schedule or Schedule(drop_late=True)

    def _wait(self, schedule: Schedule) -> None:
        until_s = self.now_s + schedule.wait_s
        while (
            self._next < len(self.world.images)
            and self.world.images[self._next].arrived_s <= until_s
            and self._slots.waiting < schedule.batch * schedule.instances
        ):
            self.now_s = self.world.images[self._next].arrived_s
            self._admit()
        if self._slots.waiting < schedule.batch * schedule.instances:
            self.now_s = until_s

    def _admit(self) -> None:
        images = self.world.images
        while self._next < len(images) and images[self._next].arrived_s <= self.now_s:
            image = images[self._next]
            self._next += 1
            self._arrives_s = image.arrived_s
            replaced = self._slots.put(image, image.camera)
            if replaced is not None:
                self.play.drop(replaced)
                self.levels.replaced(image.camera)
        self._arrives_s = 0.0

    def _take(self, schedule: Schedule) -> list[tuple[Image, bool]]:
        """The images of one run of the network, and whether each of them goes to it."""
        taken: list[tuple[Image, bool]] = []
        deep = 0
        while self._slots.waiting and deep < schedule.batch * schedule.instances:
            if taken and not deep:
                break  # answers by the tracks wait for nobody
            image = self._slots.poll()
            if image is None:
                break
            depth = self.levels.deepest(image.camera, image.arrived_s, self._slots.look())
            begun, wants = self._begun[image.camera], image.wants or self._owed[image.camera]
            goes = not begun or (wants and depth == 'full')
            self._owed[image.camera] = wants and not goes
            taken.append((replace(image, wants=wants), goes))
            deep += goes
        return taken

    def _compute(self, taken: Sequence[tuple[Image, bool]], schedule: Schedule) -> None:
        table, began_s = self.world.table, self.now_s
        for image, goes in taken:
            self.now_s += table.track_s * image.factor
            if not goes:
                self._answer(image, began_s, deep=False)
        deep = [image for image, goes in taken if goes]
        if deep:
            factor = max(image.factor for image in deep)
            self.now_s += table.seconds(len(deep), schedule.instances) * factor
            for image in deep:
                self._answer(image, began_s, deep=True)

    def _answer(self, image: Image, began_s: float, deep: bool) -> None:
        self._begun[image.camera] = True
        name = 'full' if deep else 'track'
        self.play.answer(image, self.now_s, deep)
        self.levels.answered(image.camera, name, image.arrived_s, began_s)
        self.last = Outcome(name, self.now_s - began_s)
        if self.controller is not None:
            self.controller.observe(self.last)


def play_levels(world: CameraWorld, controller: Controller | None = None) -> Play:
    """Play a world by the node's rules."""
    return LevelsPlayer(world, controller).run()


@dataclass(frozen=True)
class Queueing:
    """How others treat a queue of all cameras' images.

    Attributes:
        urgent: the earliest deadline first; else in order of arrival.
        drop: what is late already is dropped.
        batch: most frames of a batch.
        wait_s: longest wait for a batch to fill.
        adapt: the batch follows AIMD as in Clipper, up to ``batch``.
    """

    urgent: bool = False
    drop: bool = False
    batch: int = 1
    wait_s: float = 0.0
    adapt: bool = False


def play_queue(world: CameraWorld, rules: Queueing) -> Play:
    """Play a world by one queue in which every image waits for its answer."""
    play, images, table = Play(world), list(world.images), world.table
    heap: list[tuple[float, int, Image]] = []
    now_s, following, limit = 0.0, 0, 1.0 if rules.adapt else float(rules.batch)

    def admit(until_s: float) -> int:
        at = following
        while at < len(images) and images[at].arrived_s <= until_s:
            image = images[at]
            key = image.deadline_s if rules.urgent else image.arrived_s
            heapq.heappush(heap, (key, at, image))
            at += 1
        return at

    while following < len(images) or heap:
        following = admit(now_s)
        if not heap:
            now_s = max(now_s, images[following].arrived_s)
            continue
        if rules.wait_s and len(heap) < int(limit):
            until_s = min(image.arrived_s for _, _, image in heap) + rules.wait_s
            while len(heap) < int(limit) and following < len(images):
                if images[following].arrived_s > until_s:
                    break
                now_s = max(now_s, images[following].arrived_s)
                following = admit(now_s)
            if len(heap) < int(limit):
                now_s = max(now_s, until_s)
        batch: list[Image] = []
        while heap and len(batch) < max(int(limit), 1):
            image = heapq.heappop(heap)[2]
            if rules.drop and now_s > image.deadline_s:
                play.drop(image)
            else:
                batch.append(image)
        if not batch:
            continue
        factor = max(image.factor for image in batch)
        now_s += table.track_s * len(batch) * factor
        deep = [image for image in batch if image.wants]
        if deep:
            now_s += table.seconds(len(deep)) * factor
        in_time = [play.answer(image, now_s, deep=True) for image in batch]
        if rules.adapt:  # Clipper: one more, or a tenth less
            limit = min(limit + 1, rules.batch) if all(in_time) else max(0.9 * limit, 1.0)
    return play


def play_nodes(world: CameraWorld) -> Play:
    """A node for each camera, all on the same cores: the newest image of each, at the same time."""
    play, images, table = Play(world), list(world.images), world.table
    slots: dict[int, Image] = {}
    hands: dict[int, tuple[Image, float]] = {}  # camera → image in hand, seconds of work left
    now_s, following = 0.0, 0
    while following < len(images) or slots or hands:
        arrives_s = images[following].arrived_s if following < len(images) else math.inf
        share = 1 / max(len(hands), 1)
        ends_s = min((now_s + left / share for _, left in hands.values()), default=math.inf)
        until_s = min(arrives_s, ends_s)
        for camera, (image, left) in list(hands.items()):
            left -= (until_s - now_s) * share
            if left <= 1e-9:
                play.answer(image, until_s, deep=True)
                del hands[camera]
            else:
                hands[camera] = image, left
        now_s = until_s
        while following < len(images) and images[following].arrived_s <= now_s:
            image = images[following]
            following += 1
            if image.camera in slots:
                play.drop(slots[image.camera])
            slots[image.camera] = image
        for camera in [camera for camera in slots if camera not in hands]:
            image = slots.pop(camera)
            work_s = table.track_s + (table.full_s if image.wants else 0.0)
            hands[camera] = image, work_s * image.factor
    return play


RIVALS: dict[str, Callable[[CameraWorld], Play]] = {
    'one node per camera': play_nodes,
    'fifo': lambda world: play_queue(world, Queueing()),
    'aimd': lambda world: play_queue(world, Queueing(batch=8, adapt=True)),
    'ray.serve.batch': lambda world: play_queue(world, Queueing(batch=10, wait_s=0.01)),
    'edf': lambda world: play_queue(world, Queueing(urgent=True)),
    'edf and drop': lambda world: play_queue(world, Queueing(urgent=True, drop=True)),
}
"""What others do: name → how a world is played."""
