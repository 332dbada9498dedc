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

"""Robots that use a server in different ways, side by side on real processes and a real link."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from e4_ros.benchmarks.siblings.lab import LinkShape, cpu_share, open_room
from e4_ros.benchmarks.siblings.lab.driving import Robot, options_for
from e4_ros.benchmarks.siblings.lab.film import Film, Footage
from e4_ros.benchmarks.siblings.lab.frames import Drive
from e4_ros.benchmarks.siblings.lab.rooms import free_port
from e4_ros.benchmarks.siblings.lab.server import Server
from e4_ros.evaluation.metrics import Counts
from e4_ros.offload.cuts import best_cuts, offload_cuts
from e4_ros.offload.request import (
    FEATURES,
    FOLLOW,
    FRAME,
    GO_ON,
    LEGS,
    NETWORK,
    REGION,
    TAIL,
    TEACHER,
)
from e4_ros.perception.bundle_cache import open_bundle
from e4_ros.vision.networks.from_bundle import reopened

Progress = Callable[[str, int, int], None]

SHARE, RATE_HZ, DEADLINE_S = 0.2, 12.5, 0.2
MODEL = 'pedestrian_ssdlite'
_DIFFERENT = 300
_FRAMES, _QUICK_FRAMES = 120, 40
_TEACHER_FRAMES = 200
_PATIENCE_S = 60.0
_JPEG = {'service': NETWORK, 'form': FRAME, 'quality': 60, 'deadline_s': DEADLINE_S}
_LOOK = {'service': TEACHER, 'quality': 50, 'deadline_s': 0.9, 'meanwhile': GO_ON}


@dataclass(frozen=True)
class Way:
    """One way to use a server, or none.

    Attributes:
        name: for people.
        offload: what is asked; empty: nothing.
        exits: whether tracks and exits may answer.
        program: of `siblings.lab`, what the robot runs.
    """

    name: str
    offload: dict[str, Any] = field(default_factory=dict)
    exits: bool = True
    program: str = 'robot'


BESIDE = (
    Way('the robot alone, exits and tracks'),
    Way('the robot alone, the whole network on each frame', exits=False),
    Way('everything to the server as JPEG', _JPEG, program='cloud_only'),
    Way('JPEG of key frames, tracks meanwhile', {**_JPEG, 'meanwhile': FOLLOW}),
    Way('JPEG of key frames, own network meanwhile', {**_JPEG, 'meanwhile': GO_ON}),
)


WITH_TEACHER = (
    Way('the robot alone'),
    Way('the teacher looks at frames', {**_LOOK, 'form': FRAME}),
    Way('the teacher looks at parts of frames', {**_LOOK, 'form': REGION}),
)
"""The robot's own network goes on meanwhile, so its latency is that of the robot alone; what the
teacher says corrects the tracks."""


def beside(footage: Footage, quick: bool, progress: Progress) -> list[dict[str, Any]]:
    """Every way, one after the other, over 5 Mbit/s with 1 % lost.

    Args:
        footage: what the camera sees.
        quick: whether few frames are enough.
        progress: told what runs.
    """
    film = Film(footage, _DIFFERENT, progress)
    frames = _QUICK_FRAMES if quick else _FRAMES
    with ExitStack() as stack:
        stack.callback(film.close)
        place = stack.enter_context(_Place(['--model', MODEL]))
        rows = []
        ways = BESIDE[::3] if quick else BESIDE
        for index, way in enumerate(ways):
            progress(way.name, index, len(ways))
            drive = place.drive(film, way, LinkShape(5e6, 0.01), frames)
            rows.append({'way': way.name, **row(film, drive)})
        progress('side by side', len(ways), len(ways))
    return rows


def added(footage: Footage, quick: bool, progress: Progress) -> list[dict[str, Any]]:
    """What sending adds to a request on a link as fast as the machine, for a robot at full speed.

    Added is what is neither computing nor waiting on the server: packing, the way there and back.
    Tracks answer meanwhile, so that the robot's own network does not compute beside it.
    """
    film = Film(footage, _DIFFERENT, progress)
    network = reopened(open_bundle(MODEL))
    cut = best_cuts(offload_cuts(network.network))[-1].cut
    rows = []
    with ExitStack() as stack:
        stack.callback(film.close)
        place = stack.enter_context(_Place(['--model', MODEL]))
        forms: dict[str, dict[str, Any]] = {
            'features at 4 bits': {'service': TAIL, 'form': FEATURES, 'cut': cut, 'bits': 4},
            'features at 8 bits': {'service': TAIL, 'form': FEATURES, 'cut': cut},
            'JPEG of the frame': {'service': NETWORK, 'form': FRAME, 'quality': 60},
        }
        for name, asked in list(forms.items())[: 1 if quick else None]:
            progress(f'added by {name}', 0, 1)
            way = Way(name, {**asked, 'deadline_s': 1.0, 'meanwhile': FOLLOW})
            frames = _QUICK_FRAMES if quick else _FRAMES
            requests = place.drive(film, way, LinkShape(), frames, share=1.0).requests
            came = [each for each in requests if not math.isnan(each.added_s)]
            legs = {f'{leg}_ms': _median_ms([r.legs_s[leg] for r in came]) for leg in LEGS}
            p50_ms = _median_ms([request.added_s for request in came])
            size = float(np.mean([request.sent_bytes for request in came])) if came else math.nan
            rows.append(
                {'way': name, 'requests': len(came), 'added_p50_ms': p50_ms, **legs,
                 'kb': size / 1e3}
            )  # fmt: skip
    return rows


def live_teacher(
    footage: Sequence[Footage], quick: bool, progress: Progress
) -> list[dict[str, Any]]:
    """The offline teacher live on the server at 1 Mbit/s, beside the robot alone.

    Only footage with labels of people is used.
    """
    frames = _QUICK_FRAMES if quick else _TEACHER_FRAMES
    rows = []
    for each in (each for each in footage if each.labels is not None):
        film = Film(each, _DIFFERENT, progress)
        with ExitStack() as stack:
            stack.callback(film.close)
            server = ['--model', MODEL, '--services', 'network', '--teacher']
            place = stack.enter_context(_Place(server))
            for way in WITH_TEACHER[::2] if quick else WITH_TEACHER:
                progress(f'{film.name}: {way.name}', 0, 1)
                drive = place.drive(film, way, LinkShape(1e6), frames)
                rows.append({'way': way.name, 'stream': film.name, **row(film, drive)})
    return rows


def row(film: Film, drive: Drive) -> dict[str, Any]:
    """Figures of a drive."""
    judged = (film.judge(frame.number, frame.answer) for frame in drive.frames)
    counts = reduce(add, judged, Counts())
    asked = drive.requests
    return {
        'f1': None if film.labels is None else counts.f1,
        'answered': len(drive.frames),
        'dropped': drive.dropped,
        'given_up': sum(frame.exit == 'none' for frame in drive.frames),
        'late': drive.late(DEADLINE_S),
        'p50_ms': drive.latency_ms(50),
        'p95_ms': drive.latency_ms(95),
        'board_mj': 1e3 * drive.mean('energy_j'),
        'radio_mj': 1e3 * drive.mean('radio_j'),
        'requests': len(asked),
        'in_time': sum(request.in_time for request in asked),
        'kb_a_frame': drive.mean('sent_bytes') / 1e3,
    }


def _median_ms(seconds: Sequence[float]) -> float:
    return 1e3 * float(np.median(seconds)) if seconds else math.nan


class _Place:
    """A room with a server, where robots drive one after the other."""

    def __init__(self, server: Sequence[str]) -> None:
        self._options = server
        self._stack = ExitStack()

    def __enter__(self) -> _Place:
        with ExitStack() as stack:
            self._room = stack.enter_context(open_room())
            self._server = Server(self._room, free_port(self._room.server), self._options)
            stack.callback(self._server.end)
            self._server.start()
            self._server.wait_until_it_listens()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def drive(
        self, film: Film, way: Way, link: LinkShape, frames: int, share: float = SHARE
    ) -> Drive:
        """Let one robot drive, with a share of a core."""
        self._room.shape(LinkShape())
        endpoint = self._server.endpoint if way.offload else ''
        options = options_for(
            film, model=MODEL, exits=way.exits, endpoint=endpoint, offload=way.offload
        )
        with cpu_share(share) as slow, Robot(self._room.robot, options, way.program) as robot:
            robot.wait_for('ready')
            if way.offload:
                robot.wait_for('connected', _PATIENCE_S)
            if share < 1:
                slow.add(robot.pid)
            robot.warm_up()
            self._room.shape(link)
            robot.go(frames, RATE_HZ)
            return robot.result(frames / RATE_HZ + _PATIENCE_S)
