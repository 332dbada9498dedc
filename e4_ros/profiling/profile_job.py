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

"""The profile of a model on a described board, by their names.

`measuring.this_machine` does the same for the machine that it runs on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from e4_ros.energy.board_model import BoardModel, works_as_if_on, works_of
from e4_ros.energy.boards import load_board
from e4_ros.profiling.measuring.host import default_point, model_of, switch_cost
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.exit_shares import even_shares
from e4_ros.profiling.planning.objective import SwitchCost, make_problem
from e4_ros.profiling.planning.pace import (
    Paced,
    at_pace,
    governed_cost,
    lowest,
    waits_note,
)
from e4_ros.profiling.planning.sensitivity import sweep
from e4_ros.profiling.profile import OnProgress, Profile, run_profile
from e4_ros.vision.inference.stream_engine import StreamEngine
from e4_ros.vision.runtime.devices import check_name


def profile_model(
    board_name: str,
    engine: StreamEngine,
    exit_shares: Mapping[str, float] | None = None,
    deadline_s: float = 0.0,
    domains: Sequence[str] = (),
    *,
    board_device: str = '',
    period_s: float = 0.0,
    yardstick: bool = True,
    on_progress: OnProgress | None = None,
) -> Profile:
    """Profile a network on the model of a board.

    Args:
        board_name: name of the board, or path of a board file.
        engine: the network with its exits, on the device that it runs on here.
        exit_shares: exit → share (or count) of the frames that stop there; None: equal shares.
        deadline_s: bound for the slowest path in seconds; 0: three times the fastest possible.
        domains: names of the domains to clock; empty: ``cpu`` and, where there is one, ``gpu``.
        board_device: device that the board is modelled to run the network on; empty: the
            engine's.
        period_s: seconds from one frame to the next, so that the waits count; 0: nobody knows.
        yardstick: whether to find the exact optimum and the sensitivity of the plan, too.
        on_progress: function that receives the progress.

    Raises:
        ValueError: board, model, exits, deadline or domains make no sense; the message says why.
    """
    board = load_board(board_name)
    board_model, works = BoardModel(board), works_of(engine.segments)
    if board_device:
        works = works_as_if_on(check_name(board_device).name, works)
    table = CostTable.from_board(board_model, works, engine.model.name, domains or None)
    shares = exit_shares or even_shares(engine.paths)
    switch = SwitchCost.of_board(board, table.domains)
    problem = make_problem(table, engine.paths, shares, deadline_s, switch)
    paced = at_pace(problem, engine.paths, shares, period_s, board_model, bound=not deadline_s)
    guesses = []
    if yardstick and not paced.pause_s:  # they are about frames alone
        guesses = sweep(board, works, engine.paths, shares, deadline_s, domains)
    point = board_model.default_point()
    return run_profile(
        paced.problem,
        engine.paths,
        shares,
        point,
        default_cost=_governed(paced, point, board_model),
        notes=waits_note(paced, period_s),
        guesses=guesses,
        yardstick=yardstick,
        frames=paced.frames,
        period_s=period_s,
        on_progress=on_progress,
    )


def profile_table(
    path: str | Path,
    engine: StreamEngine,
    exit_shares: Mapping[str, float] | None = None,
    deadline_s: float = 0.0,
    *,
    period_s: float = 0.0,
    yardstick: bool = True,
    on_progress: OnProgress | None = None,
) -> Profile:
    """Plan again from a cost table that was measured before, without measuring anything.

    Args:
        path: path of the ``table.json`` of a profile.
        engine: the network that it was measured with, on the same device.
        exit_shares: exit → share (or count) of the frames that stop there; None: equal shares.
        deadline_s: bound for the slowest path in seconds; 0: three times the fastest possible.
        period_s: seconds from one frame to the next, so that the waits count, where the board is
            described; 0: nobody knows.
        yardstick: whether to find the exact optimum of the table, too.
        on_progress: function that receives the progress.

    Raises:
        ValueError: the table has holes or belongs to another model, or as above.
        OSError: the table cannot be read.
    """
    table = CostTable.load(path)
    segments = engine.segments
    table.check_for(engine.model.name, [s.name for s in segments], [s.device for s in segments])
    shares = exit_shares or even_shares(engine.paths)
    switch, note = switch_cost(table.board, table.domains)
    problem = make_problem(table, engine.paths, shares, deadline_s, switch)
    model, point = model_of(table), default_point(table)
    paced = at_pace(problem, engine.paths, shares, period_s, model, bound=not deadline_s)
    notes = [f'Costs come from {path}; nothing was measured again.', note]
    return run_profile(
        paced.problem,
        engine.paths,
        shares,
        point,
        default_cost=_governed(paced, point, model),
        notes=[*(text for text in notes if text), *waits_note(paced, period_s)],
        yardstick=yardstick,
        frames=paced.frames,
        period_s=period_s,
        on_progress=on_progress,
    )


def _governed(
    paced: Paced, point: Mapping[str, int], model: BoardModel | None
) -> tuple[float, float] | None:
    """What the stock system costs at a pace: its clocks are at ``point`` while frames run only."""
    if model is None or not paced.pause_s:
        return None
    problem, table = paced.frames, paced.frames.table
    nearest = {
        name: min(axis, key=lambda hz, name=name: abs(hz - point[name]))  # type: ignore[misc]
        for name, axis in zip(table.domains, table.axes_hz, strict=True)
    }
    at = table.index(nearest)
    mean_s = float(problem.reach @ table.latency_s[:, at])
    return governed_cost(
        paced,
        float(problem.timed @ table.latency_s[:, at]),
        float(problem.reach @ table.energy_j[:, at]),
        mean_s,
        model.idle_w(lowest(table), paced.pause_s),
    )
