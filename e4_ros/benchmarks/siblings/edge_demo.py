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

"""What `make demo-edge` does: a minute in which link and server come and go under a robot."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros.benchmarks.siblings.edge_show import (
    ALONE,
    BUNDLE,
    LINK,
    SERVER,
    WITH,
    Happening,
    Show,
)
from e4_ros.benchmarks.siblings.lab import CpuShare, LinkShape, cpu_share, open_room
from e4_ros.benchmarks.siblings.lab.driving import Robot, options_for
from e4_ros.benchmarks.siblings.lab.film import Film, Footage, labelled_footage
from e4_ros.benchmarks.siblings.lab.other_bundle import other_bundle
from e4_ros.benchmarks.siblings.lab.robot import RobotOptions
from e4_ros.benchmarks.siblings.lab.rooms import Room, check_kind, free_port
from e4_ros.benchmarks.siblings.lab.server import Server
from e4_ros.evaluation.metrics import Labels
from e4_ros.offload.request import FOLLOW, FRAME, NETWORK
from e4_ros.perception.records import machine_name
from e4_ros.perception.setup import EngineOptions, set_up

Progress = Callable[[str, int, int], None]

LOSS = 0.01
ASKS_FOR = {'service': NETWORK, 'form': FRAME, 'quality': 60, 'meanwhile': FOLLOW}
"""A JPEG of each frame that needs the network, while the tracks answer: for a slow robot."""

_FRAMES = 300  # different ones of the film
_HOLD_S = 20.0  # a server has to be there
_POLL_S = 0.05


@dataclass(frozen=True)
class DemoOptions:
    """What to show.

    Attributes:
        source: the camera's footage; empty: what has labels of people, else `vtest` or `bikes`.
        labels: labels of people in the MOT format; None where there are none.
        seconds: how long the camera runs; the happenings are spread over it.
        rate_hz: images a second.
        share: of a core that the robot gets.
        deadline_s: seconds that a frame may take.
        model: name or path of the bundle.
        board: board whose model says the joules.
        room: ``auto``, ``namespaces`` or ``relay``.
    """

    source: str = ''
    labels: Path | None = None
    seconds: float = 60.0
    rate_hz: float = 12.5
    share: float = 0.2
    deadline_s: float = 0.2
    model: str = 'pedestrian_ssdlite'
    board: str = 'jetson_nano'
    room: str = 'auto'


@dataclass(frozen=True)
class _Moment:
    """Something to do, when so much of the demonstration is over."""

    share: float
    kind: str
    words: str
    do: Callable[[_Stage], None]
    rate_mbps: float | None = None


@dataclass(frozen=True)
class _Stage:
    room: Room
    server: Server
    swapped: Sequence[str]

    def link(self, mbps: float) -> None:
        """Set the rate of the link, 0 for none."""
        shape = LinkShape(mbps * 1e6, LOSS) if mbps else LinkShape(up=False)
        self.room.shape(shape)


def _rate(share: float, mbps: float, words: str) -> _Moment:
    return _Moment(share, LINK, words, lambda stage: stage.link(mbps), mbps)


def _restart(stage: _Stage, options: Sequence[str] | None) -> None:
    stage.server.end()
    stage.server.start(options)


PLAN = (
    _rate(0.12, 5, 'link 5 Mbit/s'),
    _rate(0.22, 1, 'link 1 Mbit/s'),
    _rate(0.31, 0, 'link down'),
    _rate(0.37, 10, 'link up again, 10 Mbit/s'),
    _Moment(0.46, SERVER, 'server killed (kill −9)', lambda stage: stage.server.kill()),
    _Moment(0.49, SERVER, 'server started', lambda stage: stage.server.start()),
    _Moment(
        0.66, BUNDLE, 'server ended, started with another bundle: its hash differs',
        lambda stage: _restart(stage, stage.swapped),
    ),
    _Moment(
        0.80, BUNDLE, 'server ended, started with the right bundle',
        lambda stage: _restart(stage, None),
    ),
)  # fmt: skip
"""What happens, from 20 Mbit/s on, with the share of the demonstration that is over by then."""


def demonstrate(options: DemoOptions, progress: Progress) -> Show:
    """Do it.

    Args:
        options: what to show.
        progress: told the phase, what is done of it, and how much there is.

    Raises:
        SourceError, LabelsError: the footage or its labels cannot be read.
        ValueError: there is no such room.
        OSError: a process did not start, or the room cannot be had.
    """
    check_kind(options.room)
    film = Film(_footage(options), _FRAMES, progress)
    with ExitStack() as stack:
        stack.callback(film.close)
        reference = None if film.labels is not None else _reference(film, options, progress)
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='e4-demo-edge-')))
        other = other_bundle(options.model, scratch / 'other')
        room = stack.enter_context(open_room(options.room))
        slow = stack.enter_context(cpu_share(options.share, processes=2))
        server = Server(room, free_port(room.server), ['--model', options.model])
        stage = _Stage(room, server, ['--model', str(other)])
        stack.callback(server.end)
        given: dict[str, Any] = {'model': options.model, 'board': options.board}
        progress('starting', 0, 1)
        stage.link(20)
        server.start()
        asks_for = {**ASKS_FOR, 'deadline_s': options.deadline_s}
        with_server = options_for(film, endpoint=server.endpoint, offload=asks_for, **given)
        robots = {
            WITH: stack.enter_context(Robot(room.robot, with_server)),
            ALONE: stack.enter_context(Robot(room.robot, options_for(film, **given))),
        }
        for robot in robots.values():
            robot.wait_for('ready')
            slow.add(robot.pid)
        for robot in robots.values():
            robot.warm_up()
        server.wait_until_it_listens()
        robots[WITH].wait_for('connected', _HOLD_S)
        frames = round(options.seconds * options.rate_hz)
        began_s = time.monotonic()
        happenings = [Happening(began_s, LINK, f'link 20 Mbit/s, {LOSS:.0%} lost', 20)]
        for robot in robots.values():
            robot.go(frames, options.rate_hz)
        happenings += _perform(stage, options.seconds, began_s, robots[WITH], frames, progress)
        drives = {name: robot.result() for name, robot in robots.items()}
        return Show(
            drives, happenings, began_s, options.deadline_s, film, reference,
            _facts(options, film), _notes(options, film, room, slow),
        )  # fmt: skip


def _perform(
    stage: _Stage, seconds: float, began_s: float, robot: Robot, frames: int, progress: Progress
) -> list[Happening]:
    """Let everything happen in its turn, and note when a server that was started listens."""
    done: list[Happening] = []
    words, listens = 'link 20 Mbit/s', True
    for moment in (*PLAN, None):
        due_s = began_s + (1.0 if moment is None else moment.share) * seconds
        while time.monotonic() < due_s:
            if not listens and stage.server.listens:
                listens, words = True, 'server listens'
                done.append(Happening(time.monotonic(), done[-1].kind, words))
            progress(words, robot.answered, frames)
            time.sleep(_POLL_S)
        if moment is not None:
            words = moment.words
            done.append(Happening(time.monotonic(), moment.kind, words, moment.rate_mbps))
            moment.do(stage)
            listens = stage.server.listens
    return done


def _footage(options: DemoOptions) -> Footage:
    if options.source:
        return Footage(options.source, options.labels)
    labelled = labelled_footage()
    if labelled:
        return labelled[0]
    from e4_ros.evaluation.sources import SourceError, open_source

    try:
        open_source('vtest')
    except SourceError:
        return Footage('bikes')
    return Footage('vtest')


def _reference(film: Film, options: DemoOptions, progress: Progress) -> Labels:
    """What the full network says of each frame, where nobody drew labels."""
    engine = set_up(EngineOptions(options.model, exits=False)).engine
    answers = []
    for index in range(film.count):
        answers.append(engine.process_full(np.ascontiguousarray(film.frames[index])).detections)
        progress('the full network answers, to judge by', index + 1, film.count)
    return Labels.of_answers(answers, EngineOptions.min_score, 'the full network')


def _facts(options: DemoOptions, film: Film) -> dict[str, str]:
    return {
        'footage': f'{film.name}, {options.rate_hz:g} images a second',
        'network': options.model,
        'robot': f'{options.share:.0%} of a core',
        'board of the joules': options.board,
        'measured on': machine_name(),
    }


def _notes(options: DemoOptions, film: Film, room: Room, slow: CpuShare) -> list[str]:
    judged = 'labels that people drew' if film.labels else 'what the full network says of each'
    means = room.means
    return [
        'Both robots are real processes that see the same images at the same time; one knows '
        'nothing of a server. Frames that a newer one replaced before their turn are counted.',
        'A frame that needs the network is sent as a JPEG. Until its answer comes, or its time is '
        'over, the tracks answer; what comes later corrects the tracks of newer frames. When the '
        'server cannot be had, the robot runs its own network.',
        '“The server” in the first row: its answer was there with this frame, for this one or an '
        'earlier one.',
        f'How the link is made: {"; ".join(means)}. How the robot is slowed: {slow.means}.',
        f'Joules are modelled: those of {options.board} for the segments that ran, at the clocks '
        f'that its stock system would choose, and {RobotOptions.radio_w:g} W of the radio while it '
        'sends. Waiting and the server are not in them.',
        f'F1 is judged by {judged}, over the frames that were answered; the film runs forth and '
        'back.',
    ]
