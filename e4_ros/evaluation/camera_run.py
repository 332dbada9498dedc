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
"""Several videos as cameras in one process, with the node's own turns, sessions and tracks.

`run_cameras` plays them in real time; what became of each image is kept. The rules are the node's
(service levels), or those of a plain queue in order of arrival, for comparison.
"""

from __future__ import annotations

import heapq
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from e4_ros.evaluation.sources import SourceError, open_source
from e4_ros.perception.frame_worker import FrameWorker
from e4_ros.perception.service_levels import Followed, ServiceLevels
from e4_ros.perception.setup import Setup
from e4_ros.vision.inference.exit_thresholds import TRACK
from e4_ros.vision.inference.stream_engine import StreamEngine

LEVELS, FIFO = 'service levels', 'fifo'
RULES = (LEVELS, FIFO)
SLO_S = (0.05, 0.1, 0.2, 0.2)
_SHOWS = (('vtest', 0), ('bikes', 0), ('vtest', 300), ('bikes', 100))
_FRAMES = 50  # of each video, there and back again
_LEFT_S = 2.0  # for what still waits in a queue when the time is up


@dataclass(frozen=True)
class Video:
    """Frames of a camera.

    Attributes:
        name: of the camera.
        frames: ``(H, W, 3)`` uint8 RGB each, shown there and back again.
        slo_s: seconds until an answer is late.
    """

    name: str
    frames: Sequence[np.ndarray]
    slo_s: float

    def at(self, index: int) -> np.ndarray:
        """The frame that is shown at a step."""
        last = len(self.frames) - 1
        at = index % (2 * last) if last else 0
        return self.frames[at if at <= last else 2 * last - at]


@dataclass(frozen=True)
class Answer:
    """What became of an image.

    Attributes:
        camera: place of its camera.
        arrived_s: seconds since the beginning.
        age_s: seconds from there to its answer; NaN where it got none.
        exit: where it was answered; empty where it was not.
        held: whether the tracks had to do for want of time.
    """

    camera: int
    arrived_s: float
    age_s: float = math.nan
    exit: str = ''
    held: bool = False


@dataclass
class CameraRun:
    """A run.

    Attributes:
        rule: one of `RULES`.
        load: what the images asked for, by what the machine computes.
        videos: the cameras.
        rates_hz: images a second of each.
        answers: what became of all images.
    """

    rule: str
    load: float
    videos: Sequence[Video]
    rates_hz: Sequence[float]
    answers: list[Answer] = field(default_factory=list)

    def of(self, camera: int) -> list[Answer]:
        """What became of a camera's images, in order of arrival."""
        mine = [answer for answer in self.answers if answer.camera == camera]
        return sorted(mine, key=lambda answer: answer.arrived_s)

    def missed(self, camera: int) -> float:
        """Share of a camera's images that were late or got no answer."""
        mine, slo_s = self.of(camera), self.videos[camera].slo_s
        return sum(not answer.age_s <= slo_s for answer in mine) / max(len(mine), 1)

    @property
    def miss_percent(self) -> float:
        """Of all images."""
        late = [not a.age_s <= self.videos[a.camera].slo_s for a in self.answers]
        return 100 * sum(late) / max(len(late), 1)

    @property
    def held_percent(self) -> float:
        """Share of all images that had to do with the tracks' answer."""
        return 100 * sum(a.held for a in self.answers) / max(len(self.answers), 1)

    @property
    def starvation(self) -> float:
        """Share in time of the camera that is best off, by that of the one worst off."""
        shares = [1 - self.missed(camera) for camera in range(len(self.videos))]
        fewest = max(min(len(self.of(camera)) for camera in range(len(self.videos))), 1)
        return max(shares) / max(min(shares), 1 / fewest)

    @property
    def utility(self) -> float:
        """BCEdge's: logarithm of answers a second by their mean age in seconds."""
        ages = [a.age_s for a in self.answers if math.isfinite(a.age_s)]
        span_s = max((a.arrived_s for a in self.answers), default=0.0)
        if not ages or not span_s:
            return -math.inf
        return math.log(len(ages) / span_s / max(float(np.mean(ages)), 1e-6))


def four_videos(footage: str | None = None) -> list[Video]:
    """The packaged videos at two places each, and others where somebody has them.

    Args:
        footage: folder with more videos; None: as `E4_FOOTAGE` says.

    Raises:
        SourceError: a packaged video cannot be read.
    """
    shows: list[tuple[str, int]] = list(_SHOWS)
    folder = Path(os.environ.get('E4_FOOTAGE', '') if footage is None else footage)
    if str(folder) != '.' and folder.is_dir():
        for place, more in zip((3, 2), sorted(p for p in folder.iterdir()), strict=False):
            try:
                next(iter(open_source(str(more))))
            except (SourceError, ValueError, OSError):
                continue
            shows[place] = str(more), 0
    videos = []
    for (text, first), slo_s in zip(shows, SLO_S, strict=True):
        frames = [frame for _, frame in islice(open_source(text), first, first + _FRAMES)]
        videos.append(Video(f'{Path(text).stem} from {first}', frames, slo_s))
    return videos


def rates_for(engines: Sequence[StreamEngine], videos: Sequence[Video], load: float) -> list[float]:
    """Images a second, equal for all, that ask for ``load`` of what this machine computes.

    How often the network is wanted depends on the rate, so it is measured at two rates in turn.

    Args:
        engines: one for each camera; their streams begin anew.
        videos: the cameras.
        load: 1 asks for all of it.
    """
    rate_hz = 25.0
    for _ in range(2):
        took: list[float] = []
        for engine, video in zip(engines, videos, strict=True):
            engine.reset()
            for index in range(24):
                began = time.perf_counter()
                engine.process(video.at(index), index / rate_hz)
                if index >= 4:
                    took.append(time.perf_counter() - began)
        rate_hz = load / (len(videos) * float(np.mean(took)))
    for engine in engines:
        engine.reset()
    return [rate_hz] * len(videos)


def run_cameras(
    setup: Setup,
    videos: Sequence[Video],
    rates_hz: Sequence[float],
    seconds: float,
    rule: str = LEVELS,
    load: float = math.nan,
    stops: Callable[[int, float], bool] = lambda camera, time_s: False,
) -> CameraRun:
    """Play videos as cameras, in real time.

    Args:
        setup: has an engine for each.
        videos: the cameras.
        rates_hz: images a second of each.
        seconds: how long.
        rule: one of `RULES`.
        load: what that is of what the machine computes, for the record.
        stops: whether a camera sends nothing at a time.
    """
    run = CameraRun(rule, load, videos, rates_hz)
    for engine in setup.engines:
        engine.reset()
    hand = _Levels(setup, run) if rule == LEVELS else _Queue(setup, run)
    due = [(0.25 / rate * camera, camera, 0) for camera, rate in enumerate(rates_hz)]
    heapq.heapify(due)
    began_s = time.monotonic()
    hand.began_s = began_s
    while due and due[0][0] < seconds:
        at_s, camera, index = heapq.heappop(due)
        time.sleep(max(began_s + at_s - time.monotonic(), 0.0))
        heapq.heappush(due, (at_s + 1 / rates_hz[camera], camera, index + 1))
        if not stops(camera, at_s):
            hand.put(camera, index, time.monotonic())
    hand.finish()
    return run


@dataclass(frozen=True)
class _Image:
    camera: int
    index: int
    arrived_s: float


class _Hand:
    """Answers images in a thread of its own."""

    def __init__(self, setup: Setup, run: CameraRun) -> None:
        self._engines, self._run, self.began_s = setup.engines, run, 0.0
        self._lock = threading.Lock()

    def put(self, camera: int, index: int, arrived_s: float) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        raise NotImplementedError

    def _answer(self, image: _Image) -> tuple[str, bool]:
        video, engine = self._run.videos[image.camera], self._engines[image.camera]
        stamp_s = image.index / self._run.rates_hz[image.camera]
        result = engine.process(video.at(image.index), stamp_s)
        held = result.exit == TRACK and result.gate_scores.get(TRACK, 1.0) < 0.5
        age_s = time.monotonic() - image.arrived_s
        self._note(image, age_s, result.exit, held)
        return result.exit, held

    def _note(
        self, image: _Image, age_s: float = math.nan, exit_name: str = '', held: bool = False
    ) -> None:
        answer = Answer(image.camera, image.arrived_s - self.began_s, age_s, exit_name, held)
        with self._lock:
            self._run.answers.append(answer)


class _Levels(_Hand):
    def __init__(self, setup: Setup, run: CameraRun) -> None:
        super().__init__(setup, run)
        self._levels = ServiceLevels([video.slo_s for video in run.videos])
        for place, engine in enumerate(setup.engines):
            self._levels.attach(place, Followed.of(engine))
        self._worker: FrameWorker[_Image] = FrameWorker(
            self._work,
            self._replaced,
            self._failed,
            len(run.videos),
            turns=self._levels,
            late=self._note,
        )

    def put(self, camera: int, index: int, arrived_s: float) -> None:
        self._worker.submit(_Image(camera, index, arrived_s), camera)

    def finish(self) -> None:
        self._worker.stop()
        for engine in self._engines:
            engine.deepest = 'full'

    def _work(self, image: _Image) -> None:
        began_s, engine = time.monotonic(), self._engines[image.camera]
        waiting = self._worker.look()
        engine.deepest = self._levels.deepest(image.camera, image.arrived_s, waiting)
        exit_name, _ = self._answer(image)
        self._levels.answered(image.camera, exit_name, image.arrived_s, began_s)

    def _replaced(self, image: _Image) -> None:
        self._levels.replaced(image.camera)
        self._note(image)

    def _failed(self, error: Exception) -> None:
        raise error


class _Queue(_Hand):
    """All images in order of arrival; none is dropped while there is time."""

    def __init__(self, setup: Setup, run: CameraRun) -> None:
        super().__init__(setup, run)
        self._waiting: queue.Queue[_Image | None] = queue.Queue()
        self._ends_s = math.inf
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def put(self, camera: int, index: int, arrived_s: float) -> None:
        self._waiting.put(_Image(camera, index, arrived_s))

    def finish(self) -> None:
        self._ends_s = time.monotonic() + _LEFT_S
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (image := self._waiting.get()) is not None:
            if time.monotonic() > self._ends_s:
                self._note(image)
            else:
                self._answer(image)
