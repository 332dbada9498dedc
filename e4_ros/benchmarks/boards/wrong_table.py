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

"""The part `wrong_table`: boards that are half and twice as fast as their files say.

The controller is the robot's own. It plans on the board's file, and is told what the segments of
the played board took. As in perception, a frame that waits is replaced by the next one; it then
counts as late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from e4_ros.evaluation.simulation.reproduction import Backbone

Row = dict[str, Any]

BOARDS = (
    'jetson_nano',
    'jetson_tx2',
    'jetson_xavier_nx',
    'jetson_orin_nano',
    'jetson_agx_orin',
)
TRUTHS = (2.0, 0.5)
NOISE = (0.0, 0.03)
AHEAD = 100
"""Frames whose late share is looked at,"""
ALLOWED = 0.02
"""and what it may be."""
WITHIN = 30
"""Frames in which that is to come true."""
_FRAMES = 400
_DEADLINE, _PERIOD = 1.25, 1.5  # of the fastest that the played board can be


def measure(quick: bool) -> Row:
    """Most frames that any board took, and each board's."""
    from e4_ros import console

    rows = []
    cases = list(_cases(quick))
    with console.Phases(thread=False) as phases:
        for index, (board, network, truth, noise, given, exits) in enumerate(cases):
            phases('wrong_table', index, len(cases))
            row = play(board, network, truth, noise, given, exits)
            blind = play(board, network, truth, noise, given, exits, blind=True)
            rows.append({**row, 'late_blind': blind['late_after']})
    return {'frames': max(row['frames'] for row in rows), 'rows': rows}


def show(found: Row) -> None:
    """Print the worst of each board."""
    from e4_ros import console

    out = console.stdout()
    for board in BOARDS:
        mine = [row for row in found['rows'] if row['board'] == board]
        if mine:
            late, blind = (max(row[key] for row in mine) for key in ('late_after', 'late_blind'))
            out.print(
                f'{board}: at most {max(row["frames"] for row in mine)} frames; late after '
                f'{WITHIN}: at most {100 * late:.1f} %, and {100 * blind:.0f} % without a word of '
                'what the segments took'
            )
    out.print(
        f'{found["frames"]} frames until fewer than {100 * ALLOWED:g} % of the next {AHEAD} '
        'are late'
    )


def first_in_time(late: Sequence[bool]) -> int:
    """Number of frames after which fewer than `ALLOWED` of any `AHEAD` in a row are late.

    Raises:
        RuntimeError: that never comes.
    """
    shares = np.convolve(late, np.ones(AHEAD) / AHEAD, 'valid')
    bad = np.flatnonzero(shares >= ALLOWED)
    if len(bad) and bad[-1] == len(shares) - 1:
        raise RuntimeError(f'of {len(late)} frames the last {AHEAD} are late too often')
    return int(bad[-1]) + 1 if len(bad) else 0


def _cases(quick: bool) -> Iterator[tuple[str, Backbone, float, float, bool, bool]]:
    """Board, network, true over expected seconds, noise, whether a deadline is given, exits."""
    from e4_ros.evaluation.exit_record import SHIPPED, load_exits

    networks = load_exits(SHIPPED)
    for board, network, truth in product(BOARDS, networks[:1] if quick else networks, TRUTHS):
        yield from (
            (board, network, truth, *rest)
            for rest in product(NOISE[:1] if quick else NOISE, (True, False), (False, True))
        )


def play(
    board: str,
    network: Backbone,
    truth: float,
    noise: float,
    given: bool,
    exits: bool,
    blind: bool = False,
) -> Row:
    """Play one board.

    Args:
        board: name of the board, whose file the controller believes.
        network: what runs, and where its frames leave it.
        truth: how many times as long as the file says everything takes.
        noise: standard deviation of the logarithm of a frame's seconds.
        given: whether the user gives a deadline; if not, a frame is late at the next one.
        exits: whether frames may stop early.
        blind: whether the controller is not told what the segments took.
    """
    from e4_ros.energy.boards import load_board
    from e4_ros.evaluation.simulation.machine import Frame, Machine
    from e4_ros.evaluation.simulation.playback import Timeline
    from e4_ros.perception.active_plan import Stream
    from e4_ros.perception.controller import Wishes
    from e4_ros.perception.controllers.context import Context
    from e4_ros.perception.controllers.e4 import E4

    machine = Machine.of(load_board(board), network.works, network.name)
    factors = np.full(len(network.works), truth)
    machine = replace(machine, table=machine.table.scaled(factors))
    fastest_s = float(machine.table.latency_s.sum(axis=0).min())
    deadline_s, period_s = _DEADLINE * fastest_s, _PERIOD * fastest_s
    controller = E4(Context(Stream(network.name, network.works, network.e4.paths)), exits)
    if blind:
        told = controller.observe
        controller.observe = lambda outcome: told(replace(outcome, segment_s=()))  # type: ignore[method-assign]
    timeline = Timeline(machine, controller, Wishes(deadline_s if given else 0.0))
    bound_s = (deadline_s if given else period_s) * (1 + 1e-9)
    rng, late = np.random.default_rng(0), []
    for number in range(_FRAMES):
        arrival_s = number * period_s
        if timeline.now_s >= arrival_s + period_s:  # the next one is there
            late.append(True)
            continue
        name = network.e4.exits[number % len(network.e4.exits)]
        longer = float(np.exp(noise * rng.standard_normal()))
        frame = Frame(arrival_s, len(network.e4.paths[name]), name, longer)
        late.append(timeline.run_frame(frame) > bound_s)
    return {
        'board': board,
        'network': network.name,
        'truth': truth,
        'noise': noise,
        'deadline': 'given' if given else 'the next frame',
        'exits': exits,
        'frames': -1 if blind else first_in_time(late),
        'late_after': float(np.mean(late[WITHIN:])),
        'plans': controller.made,
        'factor': float(controller.facts()['latency_factor']),
    }
