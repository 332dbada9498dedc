"""From the names a user knows, a board and a model, to a finished profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from e4_ros.energy.boards import load_board
from e4_ros.energy.model import BoardModel, works_of
from e4_ros.profiling.cost_table import CostTable
from e4_ros.profiling.exit_shares import even_shares
from e4_ros.profiling.objective import SwitchCost, make_problem
from e4_ros.profiling.profile import OnProgress, Profile, run_profile
from e4_ros.vision.assembly import build


def profile_model(
    board_name: str,
    model: str,
    exit_shares: Mapping[str, float] | None = None,
    deadline_s: float = 0.0,
    domains: Sequence[str] = (),
    *,
    yardstick: bool = True,
    on_progress: OnProgress | None = None,
) -> Profile:
    """Profile a model on the model of a board.

    Args:
        board_name: name of a board, or path of a board file.
        model: name of a network.
        exit_shares: exit → how often frames stop there; none: every exit as often as any other.
        deadline_s: bound for the slowest path; 0: three times the fastest possible latency.
        domains: what to clock; empty: ``cpu`` and, where there is one, ``gpu``.
        yardstick: also find the exact optimum.
        on_progress: told what happens.

    Raises:
        ValueError: board, model, exits, deadline or domains make no sense; the message says why.
    """
    tell = on_progress or (lambda phase, progress, energy_j: None)
    board = load_board(board_name)
    tell('loading the model', 0.0, float('nan'))
    built = build(model, threads=1)
    board_model = BoardModel(board)
    table = CostTable.from_board(board_model, works_of(built.segments), model, domains or None)
    shares = exit_shares or even_shares(built.paths)
    switch = SwitchCost.of_board(board, table.domains)
    problem = make_problem(table, built.paths, shares, deadline_s, switch)
    return run_profile(
        problem,
        built.paths,
        shares,
        board_model.default_point(),
        yardstick=yardstick,
        on_progress=on_progress,
    )
