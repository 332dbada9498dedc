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

"""The part `levers`: what each way to spend less between frames saves, by the boards' models.

A recorded stream is played at a camera's pace on boards whose idle states are described. The
controller is the robot's own, and its plan is made anew for each lever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from e4_ros.energy.boards import Board
    from e4_ros.evaluation.simulation.machine import Frame
    from e4_ros.evaluation.simulation.reproduction import Backbone

Row = dict[str, Any]

BOARDS = (
    'jetson_nano',
    'jetson_tx2',
    'jetson_xavier_nx',
    'jetson_orin_nano',
    'jetson_agx_orin',
)
RATES_HZ = (30.0, 15.0, 5.0)
LEVERS = ('none', 'pairs', 'half_rate', 'memory', 'two_cpus')


@dataclass(frozen=True)
class _Given:
    """What a lever changes of a run."""

    board: Board
    domains: tuple[str, ...] = ('cpu', 'gpu')
    pair: bool = False
    every: int = 1


def measure(quick: bool) -> Row:
    """Joules of a second under each lever, on each board and at each rate."""
    from e4_ros import console
    from e4_ros.evaluation.exit_record import SHIPPED, load_exits

    network = load_exits(SHIPPED)[0]
    cases = [
        (board, rate_hz)
        for board in (BOARDS[3:4] if quick else BOARDS)
        for rate_hz in (RATES_HZ[:1] if quick else RATES_HZ)
    ]
    rows: list[Row] = []
    with console.Phases(thread=False) as phases:
        for index, (board, rate_hz) in enumerate(cases):
            phases('levers', index, len(cases), f'{board}, {rate_hz:g} Hz')
            rows += _rows(board, rate_hz, network)
    return {'network': network.name, 'rows': rows}


def show(found: Row) -> None:
    """Print what each lever saves of the energy without one."""
    from e4_ros import console

    for row in found['rows']:
        if row['lever'] != 'none':
            console.stdout().print(
                f'{row["board"]}, {row["rate_hz"]:g} Hz, {row["lever"]}: {row["power_w"]:.3f} W, '
                f'{row["saved_percent"]:+.1f} % saved; oldest answer {1e3 * row["oldest_s"]:.1f} ms'
            )


def _rows(board: str, rate_hz: float, network: Backbone) -> Iterator[Row]:
    stock_w = 0.0
    for lever in LEVERS:
        power_w, oldest_s = _play(_given(board, lever), rate_hz, network)
        stock_w = stock_w or power_w
        yield {
            'board': board,
            'rate_hz': rate_hz,
            'lever': lever,
            'power_w': power_w,
            'saved_percent': 100 * (1 - power_w / stock_w),
            'oldest_s': oldest_s,
        }


def _given(name: str, lever: str) -> _Given:
    from e4_ros.energy.boards import load_board

    board = load_board(name)
    return {
        'none': _Given(board),
        'pairs': _Given(board, pair=True),
        'half_rate': _Given(board, every=2),
        'memory': _Given(board, ('cpu', 'gpu', 'emc')),
        'two_cpus': _Given(board.with_cpus((0, 1))),
    }[lever]


def _play(given: _Given, rate_hz: float, network: Backbone) -> tuple[float, float]:
    """Mean watts, and seconds from the oldest answered image to its answer."""
    from e4_ros.evaluation.simulation.machine import Machine
    from e4_ros.evaluation.simulation.playback import Timeline
    from e4_ros.perception.active_plan import Stream
    from e4_ros.perception.controller import Wishes
    from e4_ros.perception.controllers.context import Context
    from e4_ros.perception.controllers.e4 import E4

    machine = Machine.of(given.board, network.works, network.name, given.domains)
    stream = Stream(network.name, network.works, network.e4.paths)
    controller = E4(Context(stream, given.domains), exits=True)
    frames, came_s = _frames(network, rate_hz, given)
    timeline = Timeline(machine, controller, Wishes())
    answered_s = []
    for frame in frames:
        timeline.run_frame(frame)
        answered_s.append(timeline.now_s)
    timeline.wait(len(network.e4.exits) / rate_hz)
    ages_s = np.array(answered_s) - came_s
    return timeline.energy_j / timeline.now_s, float(ages_s.max())


def _frames(network: Backbone, rate_hz: float, given: _Given) -> tuple[Sequence[Frame], np.ndarray]:
    """The frames as they reach the network, and when their images came."""
    from e4_ros.evaluation.simulation.machine import Frame

    exits = network.e4.exits
    came_s = np.arange(len(exits)) / rate_hz
    numbers = np.arange(0, len(exits), given.every)
    # The first of a pair waits for the second.
    starts = numbers + 1 - numbers % 2 if given.pair else numbers
    return [
        Frame(float(start / rate_hz), len(network.e4.paths[exits[n]]), exits[n])
        for n, start in zip(numbers, starts, strict=True)
    ], came_s[numbers]
