"""What early exits buy: quality against the offline teacher over mean latency, and simpler ways."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from rich.progress import Progress

    from e4_ros.vision.answer import Answer
    from e4_ros.vision.engine import EarlyExitEngine

    Frame = tuple[float, np.ndarray]
    Run = Callable[[Sequence[Frame], Callable[[np.ndarray], float]], 'tuple[list[Answer], float]']

MODEL = 'pedestrian_ssdlite'
LEARN, TEST = slice(0, 450), slice(500, 795)  # of vtest
STEPS = (2, 3, 4, 6, 8, 12)
SIZES = (252, 204, 172, 140, 108)
TEMPORAL_THRESHOLDS = (0.0, 0.5, 0.7, 0.75, 0.8, 0.85, 1.01)
SCORE_THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 1.01)
PEER_EVERY = 4  # the full network also answers every fourth frame, so that both see the same load


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('exits')(exits)


def exits(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')],
    quick: Annotated[bool, typer.Option(help='60 frames instead of 295.')] = False,
    threads: Annotated[int, typer.Option(min=1, help='Threads within an operation.')] = 1,
    fitted: Annotated[
        Path | None,
        typer.Option(
            help='Exits from `e4 fit`; by default fitted here, once, to vtest before 450.'
        ),
    ] = None,
    no_memory: Annotated[
        Path | None, typer.Option(help='Exits from `e4 fit --no-memory`, as one more curve.')
    ] = None,
) -> None:
    """Speed-up and F1 on the later part of vtest, against the offline teacher and the network.

    The peer is the full network in ONNX Runtime, interleaved in the same process.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console()
    with Progress(console=console, transient=True) as bars:
        result = measure(60 if quick else None, threads, fitted, no_memory, bars)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1))
    _print(console, result)


def measure(
    frames: int | None, threads: int, fitted: Path | None, no_memory: Path | None, bars: Progress
) -> dict[str, Any]:
    """All curves, in the shape that the JSON has."""
    from e4_ros.evaluation.records import machine_name
    from e4_ros.vision.assembly import build

    video, taught = _taught(bars)
    clip, reference = video[TEST][:frames], taught[TEST][:frames]
    fitted = fitted or _fitted(video[LEARN], bars)
    full = build(MODEL, 'full', threads=threads)
    full_answers = [full.process(frame, stamp).answer for stamp, frame in clip]
    full_s: list[float] = []

    def peer(frame: np.ndarray) -> float:
        full_s.append(full.process(frame, 0.0).latency_s)
        return full_s[-1]

    runs = dict(_curves(threads, fitted, no_memory, full))
    task = bars.add_task('curves', total=sum(len(points) for points in runs.values()))
    curves: dict[str, list[dict[str, float]]] = {}
    for name, points in runs.items():
        curves[name] = []
        for setting, run in points:
            answers, mean_s, peer_s = _timed(run, clip, peer)
            curves[name].append(
                {
                    'setting': setting,
                    'speedup': peer_s / mean_s,
                    'mean_ms': mean_s * 1e3,
                    'f1_reference': _f1(answers, reference),
                    'f1_full': _f1(answers, full_answers),
                }
            )
            bars.advance(task)
    bar = _f1(full_answers, reference)
    cascade = curves['cascade']
    lossless = [p['speedup'] for p in cascade if p['f1_reference'] >= bar]
    return {
        'machine': {'name': machine_name(), 'threads': threads},
        'frames': len(clip),
        'full_ms': statistics.median(full_s) * 1e3,
        'full_f1_reference': bar,
        'curves': curves,
        'speedup_at_no_loss': max(lossless, default=None),
        'best_f1_reference': max(p['f1_reference'] for p in cascade if p['speedup'] >= 1),
        'temporal_ms': cascade[0]['mean_ms'],
    }


def _taught(bars: Progress) -> tuple[list[Frame], list[Answer]]:
    """The video, and what the teacher says, who sees all of it."""
    from e4_ros.evaluation.sources import open_source
    from e4_ros.vision.teacher import OfflineTeacher
    from e4_ros.vision.zoo import load_model

    video = list(open_source('vtest'))
    task = bars.add_task('teacher', total=len(video))
    taught = OfflineTeacher(load_model(MODEL)).teach(
        video, lambda done: bars.update(task, completed=done)
    )
    return video, taught


def _fitted(clip: Sequence[Frame], bars: Progress) -> Path:
    """Exits fitted to the learning part, kept in the cache; minutes the first time."""
    from e4_ros.paths import cache_dir
    from e4_ros.vision.fit import fit
    from e4_ros.vision.zoo import load_model

    path = cache_dir() / 'bench_vtest_0_450.exits.safetensors'
    if not path.is_file():
        task = bars.add_task('fit', total=None)
        fit(
            load_model(MODEL),
            [clip],
            progress=lambda phase, done, total: bars.update(
                task, description=phase, completed=done, total=total
            ),
        ).save(path)
    return path


def _curves(
    threads: int, fitted: Path | None, no_memory: Path | None, full: EarlyExitEngine
) -> Iterator[tuple[str, list[tuple[float, Run]]]]:
    from e4_ros.vision.assembly import build

    engine = build(MODEL, 'e4', threads=threads, checkpoint=fitted)
    yield 'cascade', [(t, _cascade(engine, t)) for t in TEMPORAL_THRESHOLDS]
    yield 'score_threshold', [(t, _by_score(engine, t)) for t in SCORE_THRESHOLDS]
    yield 'hold', [(k, _every(full, k, moving=False)) for k in STEPS]
    yield 'constant_velocity', [(k, _every(full, k, moving=True)) for k in STEPS]
    yield 'smaller_input', [(s, _smaller(s, threads)) for s in SIZES]
    if no_memory is not None:
        blind = build(MODEL, 'e4', threads=threads, checkpoint=no_memory)
        yield 'no_memory', [(t, _cascade(blind, t)) for t in TEMPORAL_THRESHOLDS]


def _timed(
    run: Run, clip: Sequence[Frame], peer: Callable[[np.ndarray], float]
) -> tuple[list[Answer], float, float]:
    """Answers, mean seconds a frame, and the peer's on frames in between."""
    peer_s: list[float] = []

    def interleaved(frame: np.ndarray) -> float:
        peer_s.append(peer(frame))
        return peer_s[-1]

    answers, mean_s = run(clip, interleaved)
    return answers, mean_s, statistics.fmean(peer_s)


def _through(engine: EarlyExitEngine) -> Run:
    def run(
        clip: Sequence[Frame], peer: Callable[[np.ndarray], float]
    ) -> tuple[list[Answer], float]:
        engine.reset()
        answers, seconds = [], []
        for index, (stamp, frame) in enumerate(clip):
            result = engine.process(frame, stamp)
            answers.append(result.answer)
            seconds.append(result.latency_s)
            if index % PEER_EVERY == 0:
                peer(frame)
        return answers, statistics.fmean(seconds)

    return run


def _cascade(engine: EarlyExitEngine, threshold: float) -> Run:
    return _with_thresholds(engine, {'temporal': threshold, 'exit1': 0.3})


def _by_score(engine: EarlyExitEngine, threshold: float) -> Run:
    return _with_thresholds(engine, {'exit1': threshold})


def _with_thresholds(engine: EarlyExitEngine, thresholds: dict[str, float]) -> Run:
    from e4_ros.vision.policy import ThresholdPolicy

    def run(
        clip: Sequence[Frame], peer: Callable[[np.ndarray], float]
    ) -> tuple[list[Answer], float]:
        engine.policy = ThresholdPolicy(thresholds)
        return _through(engine)(clip, peer)

    return run


def _every(full: EarlyExitEngine, k: int, moving: bool) -> Run:
    """The full network on every k-th frame, its answer held or moved on in between."""
    from e4_ros.vision.tracks import ConstantVelocityTracks

    def run(
        clip: Sequence[Frame], peer: Callable[[np.ndarray], float]
    ) -> tuple[list[Answer], float]:
        tracks = ConstantVelocityTracks()
        answers, seconds = [], []
        for index, (stamp, frame) in enumerate(clip):
            start = time.perf_counter()
            if index % k == 0:
                answer = full.process(frame, stamp).answer
                if moving:
                    tracks.update(answer, stamp)
            elif moving:
                answer = tracks.predict(stamp)
            seconds.append(time.perf_counter() - start)
            answers.append(answer)
            if index % PEER_EVERY == 0:
                peer(frame)
        return answers, statistics.fmean(seconds)

    return run


def _smaller(size: int, threads: int) -> Run:
    from e4_ros.vision.engine import EarlyExitEngine
    from e4_ros.vision.policy import FullPolicy
    from e4_ros.vision.runtime import make_runtime
    from e4_ros.vision.zoo import load_model

    model = load_model(MODEL, input_size=(size, size))
    return _through(EarlyExitEngine(model, FullPolicy(), make_runtime('onnxruntime', threads)))


def _f1(answers: Sequence[Answer], reference: Sequence[Answer]) -> float:
    from e4_ros.evaluation.metrics import f1

    return float(f1(answers, reference))


def _print(console: Any, result: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table('way', 'setting', 'speed-up', 'ms', 'F1 teacher', 'F1 full')
    table.add_row(
        'full',
        '',
        '1.00',
        f'{result["full_ms"]:.2f}',
        f'{result["full_f1_reference"]:.3f}',
        '1.000',
    )
    for name, points in result['curves'].items():
        for p in points:
            table.add_row(
                name,
                f'{p["setting"]:g}',
                f'{p["speedup"]:.2f}',
                f'{p["mean_ms"]:.2f}',
                f'{p["f1_reference"]:.3f}',
                f'{p["f1_full"]:.3f}',
            )
    console.print(table)
