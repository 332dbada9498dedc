"""`e4 reproduce`: E4 against kernel governors, learning governors and its own variants."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from e4_ros.profiling.playback import Policy
    from e4_ros.profiling.reproduction import Backbone, Scene

MODELS = ('pedestrian_ssdlite', 'efficientnet_lite0')


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('reproduce')(reproduce)


def reproduce(
    out: Annotated[
        Path, typer.Option('--json', help='File for the figures; the page lies beside.')
    ] = Path('out/reproduce/reproduce.json'),
    source: Annotated[
        str, typer.Option(help='Stream whose frames leave the networks: a video, bag or name.')
    ] = 'bikes',
    frames: Annotated[int, typer.Option(min=20, help='Frames of the stream.')] = 200,
    train_frames: Annotated[
        int, typer.Option(min=0, help='Frames each learning governor may learn on; 0: none learn.')
    ] = 4000,
    boards: Annotated[str, typer.Option(help='Boards, comma-separated; empty: the Jetsons.')] = '',
) -> None:
    """Five boards, two backbones, two workloads, all policies: one page and one JSON.

    The boards are modelled; where the frames leave the networks comes from a real stream.
    Learning governors need the extra `reproduce` (gymnasium, stable-baselines3).
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from e4_ros.energy.boards import board_names
    from e4_ros.profiling.reproduction import WORKLOADS, Scene, rows, summarise
    from e4_ros.profiling.reproduction_page import write_page

    console = Console()
    names = [b.strip() for b in boards.split(',') if b.strip()]
    names = names or [b for b in board_names() if b.startswith('jetson')]
    columns = (TextColumn('{task.description:60}'), BarColumn(), TimeElapsedColumn())
    try:
        train = _trainer(train_frames)
        table: list[dict[str, Any]] = []
        with Progress(*columns, console=console, transient=True) as progress:
            total = len(MODELS) * (1 + len(names) * len(WORKLOADS))
            task = progress.add_task('', total=total)
            for model in MODELS:
                progress.update(task, description=f'{model} on {source}')
                backbone = record(model, source, frames)
                progress.advance(task)
                for board in names:
                    for workload in WORKLOADS:
                        where = f'{board}, {model}, {workload}'
                        scene = Scene.of(board, backbone, workload)

                        def tell(policy: str, where: str = where) -> None:
                            progress.update(task, description=f'{where}: {policy}')

                        table += rows(scene, train, tell)
                        progress.advance(task)
    except (ValueError, OSError) as error:
        console.print(f'[red]error:[/] {error}', soft_wrap=True, highlight=False)
        raise typer.Exit(2) from error
    summary = summarise(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    settings = {'source': source, 'frames': frames, 'train_frames': train_frames if train else 0}
    out.write_text(json.dumps({'rows': table, 'summary': summary, 'settings': settings}, indent=1))
    write_page(table, summary, out.with_suffix('.html'))
    _print(console, table, summary)
    console.print(f'wrote {out} and {out.with_suffix(".html")}', highlight=False)


def record(model: str, source: str, frames: int) -> Backbone:
    """Run a network on a real stream and keep where the frames left it.

    EENet's exits (git-disl/EENet): no memory of the stream; the first third of the frames sets
    the threshold of the middle exit to the quantile at which half of the frames leave there.
    """
    import itertools

    import numpy as np

    from e4_ros.energy.model import works_of
    from e4_ros.evaluation.metrics import agreement
    from e4_ros.evaluation.sources import open_source
    from e4_ros.profiling.reproduction import Backbone, ExitTrace
    from e4_ros.vision.assembly import build
    from e4_ros.vision.policy import FULL, TEMPORAL, ThresholdPolicy

    engine = build(model, threads=1)
    stream = [(float(s), frame) for s, frame in itertools.islice(open_source(source), frames)]
    if len(stream) < 20:
        raise ValueError(f'{source} has {len(stream)} frames; reproducing needs at least 20')
    paths = engine.paths
    full = [engine.process_full(frame).answer for _, frame in stream]
    results = [engine.process(frame, stamp_s) for stamp_s, frame in stream]
    answers = [result.answer for result in results]
    e4 = ExitTrace(
        paths,
        tuple(result.exit for result in results),
        agreement(engine.model.task, answers, full),
    )
    middle = [name for name in paths if name not in (TEMPORAL, FULL)]
    if not middle:
        whole = ExitTrace({FULL: paths[FULL]}, (FULL,) * len(stream), 1.0)
        return Backbone(model, works_of(engine.segments), e4, whole)
    engine.policy = ThresholdPolicy({middle[0]: 0.0})
    engine.reset()
    third = len(stream) // 3
    scores = [engine.process(f, s).gate_scores[middle[0]] for s, f in stream[:third]]
    engine.policy = ThresholdPolicy({middle[0]: float(np.quantile(scores, 0.5))})
    engine.reset()
    results = [engine.process(frame, stamp_s) for stamp_s, frame in stream]
    eenet = ExitTrace(
        {middle[0]: paths[middle[0]], FULL: paths[FULL]},
        tuple(result.exit for result in results),
        agreement(engine.model.task, [result.answer for result in results], full),
    )
    return Backbone(model, works_of(engine.segments), e4, eenet)


def _trainer(frames: int) -> Callable[[Scene, str], Policy] | None:
    if frames == 0:
        return None
    try:
        from e4_ros.profiling import learned
    except ImportError as error:
        raise ValueError(
            f'{error.name} is missing: install the extra `reproduce` (gymnasium, '
            'stable-baselines3), or leave the learning governors out with --train-frames 0'
        ) from error

    def train(scene: Scene, reward: str) -> Policy:
        full = [len(scene.backbone.works)] * learned.EPISODE_FRAMES
        return learned.train(
            scene.machine,
            lambda seed: scene.frames(full, seed),
            scene.period_s,
            reward,  # type: ignore[arg-type]
            frames,
        )

    return train


def _print(console: Any, table: list[dict[str, Any]], summary: dict[str, Any]) -> None:
    from collections import defaultdict

    from rich.table import Table

    by_policy: dict[str, list[dict[str, Any]]] = defaultdict(list)
    top = {}
    for row in table:
        by_policy[row['policy']].append(row)
        if row['policy'] == 'performance':
            top[row['board'], row['backbone'], row['workload']] = row['energy_j_per_frame']
    shown = Table(title='mean over boards, backbones and workloads (modelled)')
    shown.add_column('policy')
    for name in ('energy, of performance', 'late frames', 'agreement'):
        shown.add_column(name, justify='right')
    for policy, found in by_policy.items():
        ratios = [
            r['energy_j_per_frame'] / top[r['board'], r['backbone'], r['workload']] for r in found
        ]
        shown.add_row(
            policy,
            f'{100 * sum(ratios) / len(found):.1f} %',
            f'{sum(r["deadline_miss_percent"] for r in found) / len(found):.1f} %',
            f'{sum(r["agreement"] for r in found) / len(found):.3f}',
        )
    console.print(shown)
    console.print(
        f'E4 spends {summary["saving_vs_best_governor_percent"]:.1f} % less than the best governor '
        f'that is late no more often: {summary["from_exits_percent"]:.1f} from exits, '
        f'{summary["from_clocks_percent"]:.1f} from clocks',
        highlight=False,
    )
