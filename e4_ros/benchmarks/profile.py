"""How near to the optimum the planner comes, from how little, and how fast."""

from __future__ import annotations

import json
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from e4_ros.energy.model import SegmentWork
    from e4_ros.energy.virtual_machine import Kernel

MODELS = ('pedestrian_ssdlite', 'efficientnet_lite0')
SEGMENTS = 12  # finer than the engine's own, so that there is something to choose
SHARES = (0.6, 0.2, 0.2)  # temporal, the middle of the network, its end


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('profile')(profile)


def profile(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')],
    quick: Annotated[bool, typer.Option(help='Two boards, no measured path.')] = False,
) -> None:
    """Gap of coordinate descent to the exact optimum, cells looked at, planning time."""
    from rich.console import Console
    from rich.progress import track

    from e4_ros.energy.boards import board_names

    boards = [name for name in board_names() if name.startswith('jetson')]
    boards = boards[:2] if quick else boards
    tasks = [
        (board, model, domains)
        for model in MODELS
        for board in boards
        for domains in (('cpu', 'gpu'), ('cpu', 'gpu', 'emc'))
    ]
    works = {model: model_works(model) for model in MODELS}
    console = Console()
    rows = [
        search_row(board, model, works[model], domains)
        for board, model, domains in track(tasks, 'searching', console=console, transient=True)
    ]
    result: dict[str, Any] = {
        'searches': rows,
        'plan_ms': {
            'cpu_gpu': planning_ms(('cpu', 'gpu')),
            'cpu_gpu_emc': planning_ms(('cpu', 'gpu', 'emc')),
        },
    }
    if not quick:
        with console.status('measuring a virtual board'):
            result['measured'] = measured_row(works[MODELS[0]])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1))
    _print(console, result)


def model_works(model: str, segments: int = SEGMENTS) -> list[SegmentWork]:
    """Preparation, and the network cut into ``segments`` pieces of about equal cost."""
    import torch

    from e4_ros.energy.model import SegmentWork
    from e4_ros.vision import stages
    from e4_ros.vision.zoo import load_model

    loaded = load_model(model)
    example = torch.zeros(1, 3, *loaded.input_size)
    cuts = stages.find_cuts(loaded.network, example)
    inner = [cut for cut in cuts if 0.01 < cut.cost_share < 0.99]
    last = max(cut.cost_share for cut in inner)  # a detector's tail has no cut: one segment
    shares = [last * (i + 1) / (segments - 1) for i in range(segments - 1)]
    pieces = stages.split(loaded.network, example, stages.nearest_cuts(inner, shares))
    prepare = SegmentWork('prepare', 0, 5.0 * example.numel(), 8, 'cpu')
    return [prepare, *(SegmentWork(p.name, p.macs, p.bytes_moved, p.layers) for p in pieces)]


def paths_of(works: list[SegmentWork]) -> dict[str, list[int]]:
    """Exits before the network, in its middle and at its end."""
    size = len(works)
    return {
        'temporal': [0],
        'exit1': list(range(1 + size // 2)),
        'full': list(range(size)),
    }


def search_row(
    board_name: str, model: str, works: list[SegmentWork], domains: tuple[str, ...]
) -> dict[str, Any]:
    """One search against its exact optimum, at three times the fastest possible latency."""
    from e4_ros.energy.boards import load_board
    from e4_ros.energy.model import BoardModel
    from e4_ros.profiling.cost_table import CostTable
    from e4_ros.profiling.exact import exact
    from e4_ros.profiling.objective import SwitchCost, make_problem
    from e4_ros.profiling.search import coordinate_descent

    board = load_board(board_name)
    table = CostTable.from_board(BoardModel(board), works, model, domains)
    paths = paths_of(works)
    switch = SwitchCost.of_board(board, table.domains)
    problem = make_problem(table, paths, dict(zip(paths, SHARES, strict=True)), 0, switch)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        found = coordinate_descent(problem)
        times.append(time.perf_counter() - began)
    optimum = exact(problem)
    return {
        'board': board_name,
        'model': model,
        'domains': list(domains),
        'gap_percent': 100 * (found.energy_j / optimum.best.energy_j - 1),
        'gap_to_bound_percent': 100 * (found.energy_j / optimum.bound_j - 1),
        'proven': optimum.proven,
        'cells_share': found.cells_share,
        'plan_ms': 1e3 * statistics.median(times),
    }


def planning_ms(domains: tuple[str, ...]) -> float:
    """Median time to plan 32 segments on a 15 x 12 (x 7) table, the Jetson Nano's, on one core."""
    import numpy as np

    from e4_ros.energy.boards import load_board
    from e4_ros.energy.model import BoardModel, SegmentWork
    from e4_ros.profiling.cost_table import CostTable
    from e4_ros.profiling.objective import SwitchCost, make_problem
    from e4_ros.profiling.search import coordinate_descent

    rng = np.random.default_rng(1)
    works = [
        SegmentWork(f's{i}', float(macs), float(moved), int(layers))
        for i, (macs, moved, layers) in enumerate(
            zip(
                rng.uniform(5e6, 60e6, 32),
                rng.uniform(3e5, 6e6, 32),
                rng.integers(2, 8, 32),
                strict=True,
            )
        )
    ]
    board = load_board('jetson_nano')
    paths = paths_of(works)
    times = []
    for slack in (1.1, 1.3, 1.6, 2.0, 3.0):  # tight deadlines take longest
        began = time.perf_counter()
        table = CostTable.from_board(BoardModel(board), works, 'random', domains)
        switch = SwitchCost.of_board(board, domains)
        fastest_s = table.latency_s.sum(axis=0).min()
        shares = dict(zip(paths, SHARES, strict=True))
        coordinate_descent(make_problem(table, paths, shares, slack * fastest_s, switch))
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


def measured_row(
    works: list[SegmentWork], board_name: str = 'jetson_nano', kernel: Kernel | None = None
) -> dict[str, Any]:
    """A plan measured on a virtual board (FUSE), with noise, against the board model's optimum."""
    import tempfile

    from e4_ros.energy import virtual_mount
    from e4_ros.energy.boards import load_board
    from e4_ros.energy.daemon import HelperConfig
    from e4_ros.energy.discovery import discover
    from e4_ros.energy.hold import leased
    from e4_ros.energy.model import BoardModel
    from e4_ros.profiling.cost_table import CostTable
    from e4_ros.profiling.exact import exact
    from e4_ros.profiling.host import open_power
    from e4_ros.profiling.measured import measured_plan
    from e4_ros.profiling.objective import SwitchCost, make_problem
    from e4_ros.profiling.prober import Prober
    from e4_ros.profiling.virtual_workload import VirtualWorkload

    if reason := virtual_mount.why_not():
        return {'gap_percent': None, 'seconds': None, 'why_not': reason}
    board = load_board(board_name)
    table = CostTable.from_board(BoardModel(board), works, MODELS[0])
    paths = paths_of(works)
    shares = dict(zip(paths, SHARES, strict=True))
    switch = SwitchCost.of_board(board, table.domains)
    true = make_problem(table, paths, shares, 0, switch)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        at = Path(folder)
        root = stack.enter_context(virtual_mount.mounted(board_name, at / 'board', kernel))
        config = HelperConfig(root=root, state_dir=at / 'state', socket_path=at / 'socket')
        client = stack.enter_context(leased(config, 'bench'))
        domains = discover(root)
        power, _ = open_power(stack, root, client, board_name, works)
        assert power is not None, 'the board is described'

        def clocks() -> dict[str, int]:
            return {domain.name: domain.current_hz() for domain in domains}

        workload = VirtualWorkload(board, root, works, MODELS[0], clocks)
        axes = dict(zip(table.domains, table.axes_hz, strict=True))
        prober = Prober(client, power, workload, axes, clocks)
        found = measured_plan(
            prober, lambda t: make_problem(t, paths, shares, true.deadline_s, switch)
        )
    seconds, energy_j = true.cost(found.found.points)
    return {
        'gap_percent': 100 * (energy_j / exact(true).best.energy_j - 1),
        'seconds': found.seconds,
        'board': board_name,
        'kernel': kernel or board.kernel,
        'energy': power.source,
        'segments': len(works),
        'cells_share': found.cells / table.latency_s.size,
        'fit_error_percent': found.problem.table.error_percent,
        'of_deadline': seconds / true.deadline_s,
    }


def _print(console: Any, result: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title='coordinate descent against the exact optimum')
    for name in ('board', 'model', 'domains'):
        table.add_column(name)
    for name in ('gap', 'cells', 'time'):
        table.add_column(name, justify='right')
    for row in result['searches']:
        table.add_row(
            row['board'],
            row['model'],
            '+'.join(row['domains']),
            f'{row["gap_percent"]:.3f} %' + ('' if row['proven'] else ' ?'),
            f'{100 * row["cells_share"]:.0f} %',
            f'{row["plan_ms"]:.1f} ms',
        )
    console.print(table)
    times = result['plan_ms']
    console.print(
        f'32 segments: cpu+gpu {times["cpu_gpu"]:.0f} ms, '
        f'cpu+gpu+emc {times["cpu_gpu_emc"]:.0f} ms (table and search)'
    )
    measured = result.get('measured')
    if measured is not None and measured['gap_percent'] is not None:
        console.print(
            f'measured on a virtual {measured["board"]}: {measured["gap_percent"]:.2f} % above the '
            f'optimum after {measured["seconds"]:.0f} s'
        )
