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

"""Whether `e4 compare` finds the saving that a board's model put in, within its own interval."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros import console
from e4_ros.benchmarks.boards.simulated_board import SimulatedBoard, Ways
from e4_ros.energy.board_model import works_as_if_on, works_of
from e4_ros.energy.boards import load_board
from e4_ros.energy.daemon.daemon import DaemonConfig
from e4_ros.energy.meters.meters import EnergyReading
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.energy.virtual import mount_problem, mounted
from e4_ros.evaluation.comparison import job
from e4_ros.evaluation.comparison.arms import ARMS, BOTH, CLOCKS, STOCK
from e4_ros.evaluation.comparison.block import Block, Timing, play
from e4_ros.evaluation.comparison.engines import load, rehearse, settle
from e4_ros.evaluation.comparison.feed import RecordedFeed
from e4_ros.evaluation.comparison.result import Facts, evaluate
from e4_ros.evaluation.comparison.runner import measure as run_blocks
from e4_ros.evaluation.comparison.schedule import Schedule, schedule
from e4_ros.evaluation.sources import open_source
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import BoardState, Observation, Outcome
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.setup import EngineOptions
from e4_ros.vision.inference.frame_result import FrameResult

BOARDS = {'jetson_nano': 'cuda', 'jetson_xavier_nx': 'cuda', 'jetson_orin_nano': 'cpu'}
"""Board → device that it runs the network on. Each has a rail that carries the whole board."""

MINUTES = 5.0
_FOOTAGE = 'bikes'
_PERIOD_S = 0.1
_SETTLED = 3  # times that the footage is shown to the planner
_OFFSETS = (0, 80, 160)  # of the frames that a run begins with
_RUNS, _QUICK_RUNS = 20, 2
_TRUE_ROUNDS = 40

_log = logging.getLogger(__name__)


def measure(quick: bool) -> list[dict[str, Any]]:
    """Compare in simulated time, again and again, and once in real time through FUSE.

    Returns:
        For each run the board, the true and the found share that is saved, and the interval.
    """
    stock = load(EngineOptions(threads=1))
    frames = [frame for _, frame in open_source(_FOOTAGE)]
    feed = RecordedFeed(_FOOTAGE, frames, _PERIOD_S)
    results = {}
    for exits in (True, False):
        settle(stock.of(exits).engine, feed)
        results[exits] = rehearse(stock.of(exits).engine, feed)
    rows: list[dict[str, Any]] = []
    runs = _QUICK_RUNS if quick else _RUNS
    length = schedule(MINUTES, len(ARMS), 0)
    with console.Phases() as phases:
        for name, device in BOARDS.items():
            board, ways_at, truths = load_board(name), {}, {}
            for run in range(runs):
                phases(name, run, runs)
                offset = _OFFSETS[run % len(_OFFSETS)]
                if offset not in truths:
                    ways_at[offset] = _ways(stock, results, name, device, offset)
                    truths[offset] = _true_share(
                        SimulatedBoard(board, ways_at[offset], 1000 + offset, metered=False),
                        feed, length, 10 if quick else _TRUE_ROUNDS,
                    )  # fmt: skip
                machine = SimulatedBoard(board, ways_at[offset], run)
                blocks = run_blocks(
                    machine, feed, ARMS, schedule(MINUTES, len(ARMS), run), _PERIOD_S
                )
                found = evaluate(blocks, length, _facts(name, device), 'detect', 0.3)
                rows.append(_row(name, truths[offset], found.best.saved))
            phases(name, runs, runs)
    rows += _real_time(quick)
    return rows


def show(found: Sequence[dict[str, Any]]) -> None:
    """Print how often the truth was inside, and how wide the intervals were."""
    shown = console.stdout()
    for name in dict.fromkeys((row['board'], row['real_time']) for row in found):
        rows = [row for row in found if (row['board'], row['real_time']) == name]
        inside = sum(row['low'] <= row['true'] <= row['high'] for row in rows)
        half = [50 * (row['high'] - row['low']) for row in rows]
        error = [100 * (row['found'] - row['true']) for row in rows]
        where = f'{name[0]}, through FUSE in real time' if name[1] else name[0]
        shown.print(
            f'{where}: true saving {100 * rows[0]["true"]:.1f} %, inside {inside} of {len(rows)}; '
            f'interval ± {np.mean(half):.2f} % (at most {max(half):.2f}), error '
            f'{np.mean(error):+.2f} %',
            highlight=False,
        )


def _ways(
    stock: job.Depths, results: dict[bool, list[FrameResult]], name: str, device: str, offset: int
) -> Ways:
    works = {
        e: works_as_if_on(device, works_of(stock.of(e).engine.segments)) for e in (True, False)
    }
    paths = {e: dict(stock.of(e).engine.paths) for e in (True, False)}
    plans = {e: _plan(name, Stream('network', works[e], paths[e]), results[e], e) for e in paths}
    rolled = {e: results[e][offset:] + results[e][:offset] for e in (True, False)}
    return Ways(works, paths, rolled, plans)


def _plan(name: str, stream: Stream, results: Sequence[FrameResult], exits: bool) -> FrequencyPlan:
    """What E4 plans for this footage at the camera's pace, as perception would."""
    controller = make_controller((BOTH if exits else CLOCKS).controller, Context(stream))
    domains = load_board(name).domains.items()
    board = BoardState(name, {domain: tuple(spec.allowed_hz) for domain, spec in domains})
    decided = controller.decide(Observation(board=board))
    for _ in range(_SETTLED):
        for result in results:
            controller.observe(Outcome(result.exit, result.latency_s, period_s=_PERIOD_S))
        decided = controller.decide(Observation(board=board))
    assert decided.plan is not None
    return decided.plan


class _Exact:
    """A meter that makes no error."""

    def __init__(self, machine: SimulatedBoard) -> None:
        self._machine = machine

    def read(self) -> EnergyReading:
        """The exact joules."""
        time_s = self._machine.clock.now()
        return EnergyReading(self._machine.exact_j(), 0.0, {}, {}, 'measured', time_s=time_s)


def _true_share(
    machine: SimulatedBoard, feed: RecordedFeed, length: Schedule, rounds: int
) -> float:
    """What is saved in the long run, by the board's exact joules."""
    timing, meter = Timing(length.warm_up_s, length.counted_s, _PERIOD_S), _Exact(machine)
    joules = {arm.name: 0.0 for arm in (STOCK, BOTH)}
    seconds = dict(joules)
    for number in range(rounds):
        for arm in (STOCK, BOTH):
            with machine.arm(arm) as answer:
                block: Block = play(arm.name, number, feed, answer, meter, machine.clock, timing)
            joules[arm.name] += block.energy_j
            seconds[arm.name] += block.seconds
    power = {name: joules[name] / seconds[name] for name in joules}
    return 1 - power[BOTH.name] / power[STOCK.name]


def _facts(name: str, device: str) -> Facts:
    return Facts(
        board=name, machine='simulated time', model='', device=device, source=_FOOTAGE,
        same_frames=False, period_s=_PERIOD_S, deadline_s=_PERIOD_S, meter='ina', measured=True,
    )  # fmt: skip


def _real_time(quick: bool) -> Iterator[dict[str, Any]]:
    """One comparison as an owner runs it: FUSE, the daemon, the rails, this machine's time."""
    if (problem := mount_problem()) is not None:
        _log.error('no comparison through FUSE: %s', problem)
        return
    name = 'jetson_orin_nano'
    with _board(name) as config:
        options = job.CompareOptions(
            EngineOptions(threads=1), config, minutes=1.0 if quick else MINUTES, fps=1 / _PERIOD_S
        )
        with console.Phases() as phases:
            found = job.compare(
                options,
                open_source(_FOOTAGE),
                lambda seconds, words: phases('real time', round(seconds), 60 * MINUTES, words),
            )
    assert found.best.exact is not None
    yield _row(name, found.best.exact, found.best.saved, real_time=True)


@contextmanager
def _board(name: str) -> Iterator[DaemonConfig]:
    with (
        tempfile.TemporaryDirectory(prefix='e4-') as folder,
        mounted(name, f'{folder}/root') as root,
    ):
        places = {'state_dir': Path(folder), 'socket_path': Path(folder) / 'helper.sock'}
        yield DaemonConfig.model_validate({'root': root, **places})


def _row(name: str, true: float, found: Any, real_time: bool = False) -> dict[str, Any]:
    ends = {'low': found.low, 'high': found.high}
    return {'board': name, 'true': true, 'found': found.value, **ends, 'real_time': real_time}
