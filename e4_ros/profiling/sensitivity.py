"""Which conclusions hang on numbers that nobody measured: sweep the assumed ones and look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from e4_ros.energy.boards import Board, Sourced
from e4_ros.energy.model import BoardModel, SegmentWork
from e4_ros.profiling.cost_table import CostTable
from e4_ros.profiling.objective import SwitchCost, make_problem
from e4_ros.profiling.planner import search
from e4_ros.profiling.search import best_fixed


@dataclass(frozen=True)
class Conclusion:
    """What a plan achieves on a board.

    Attributes:
        parameter, value: what was changed, and how.
        saving_percent: expected energy of the plan below that of the default point.
        fixed_loses_percent: how much more the best fixed point spends than the plan.
        slower_percent: how much longer the slowest path takes than at the default point.
    """

    parameter: str
    value: str
    saving_percent: float
    fixed_loses_percent: float
    slower_percent: float


def sweep(
    board: Board,
    works: Sequence[SegmentWork],
    exit_paths: Mapping[str, Sequence[int]],
    exit_shares: Mapping[str, float],
) -> list[Conclusion]:
    """Change one assumption at a time; the first entry is the board as it is."""
    found = [_conclude(board, works, exit_paths, exit_shares, '', '')]
    for parameter, value, change in _changes():
        changed = change(board)
        found.append(_conclude(changed, works, exit_paths, exit_shares, parameter, value))
    return found


def _changes() -> list[tuple[str, str, Callable[[Board], Board]]]:
    changes: list[tuple[str, str, Callable[[Board], Board]]] = [
        ('power exponent', f'{exponent:g}', _power('exponent', scale=0.0, offset=exponent))
        for exponent in (1.5, 2.0, 3.0)
    ]
    for factor in (0.5, 2.0):
        for field in ('static_w', 'dynamic_w', 'idle_share'):
            changes.append((field, f'x{factor:g}', _power(field, scale=factor)))
        changes.append(('other loads', f'x{factor:g}', _others(factor)))
        changes.append(('effect delay', f'x{factor:g}', _delays(factor)))
    changes.append(('effect delay', 'none', _delays(0.0)))
    return changes


def _power(field: str, scale: float, offset: float = 0.0) -> Callable[[Board], Board]:
    def apply(board: Board) -> Board:
        domains = {}
        for name, spec in board.domains.items():
            old: Sourced = getattr(spec.power, field)
            swept = Sourced(scale * old.value + offset, 'swept')
            power = spec.power.model_copy(update={field: swept})
            domains[name] = spec.model_copy(update={'power': power})
        return board.model_copy(update={'domains': domains})

    return apply


def _others(factor: float) -> Callable[[Board], Board]:
    def apply(board: Board) -> Board:
        loads = {n: Sourced(factor * w.value, 'swept') for n, w in board.other_loads_w.items()}
        return board.model_copy(update={'other_loads_w': loads})

    return apply


def _delays(factor: float) -> Callable[[Board], Board]:
    def apply(board: Board) -> Board:
        domains = {}
        for name, spec in board.domains.items():
            swept = Sourced(factor * spec.switch.effect_s.value, 'swept')
            switch = spec.switch.model_copy(update={'effect_s': swept})
            domains[name] = spec.model_copy(update={'switch': switch})
        return board.model_copy(update={'domains': domains})

    return apply


def _conclude(
    board: Board,
    works: Sequence[SegmentWork],
    exit_paths: Mapping[str, Sequence[int]],
    exit_shares: Mapping[str, float],
    parameter: str,
    value: str,
) -> Conclusion:
    model = BoardModel(board)
    table = CostTable.from_board(model, works, 'swept')
    switch = SwitchCost.of_board(board, table.domains)
    problem = make_problem(table, exit_paths, exit_shares, 0.0, switch)
    best, fixed = search(problem), best_fixed(problem)
    at = table.index({n: model.default_point()[n] for n in table.domains})
    latency_s, energy_j = problem.fixed()
    return Conclusion(
        parameter,
        value,
        100 * (1 - best.energy_j / float(energy_j[at])),
        100 * (fixed.energy_j / best.energy_j - 1),
        100 * (best.latency_s / float(latency_s[at]) - 1),
    )
