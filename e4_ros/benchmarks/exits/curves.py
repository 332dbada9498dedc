"""Quality over mean latency: the cascade, what is left of it without its parts, simpler ways."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from e4_ros.benchmarks.exits import frontier
from e4_ros.benchmarks.exits.footage import Judged
from e4_ros.benchmarks.exits.timing import Timed, figures, timed
from e4_ros.benchmarks.exits.ways import EveryKth, Smaller, Through, Way, full_engine
from e4_ros.evaluation.metrics import f1
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import read_manifest
from e4_ros.vision.export.assemble import assemble
from e4_ros.vision.export.build import trainable
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.exit_thresholds import TEMPORAL, ExitThresholds
from e4_ros.vision.models.trainable import TrainableModel
from e4_ros.vision.runtime.factory import make_runtime

STEPS = (2, 3, 4, 6, 8, 12)
SIDES = (284, 268, 252, 236, 220, 204, 172, 140)  # pixels; the detector's own is 300
# From 0 on the temporal exit would answer even without a memory.
TEMPORAL_THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)
SCORE_THRESHOLDS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)

Ways = dict[tuple[str, float], Way]


def measure_curves(
    model: TrainableModel,
    test: Judged,
    checkpoints: Mapping[str, Path],
    threads: int,
    passes: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Every way on the test part, each in turns with the full network.

    Args:
        model: the detector.
        test: the stream.
        checkpoints: bundles with fitted exits by curve; ``cascade`` must be there.
        threads: within an operation, the same for all.
        passes: how often each way sees the stream.
        progress: called with passes done and their number.
    """
    full = full_engine(model, threads)
    peer = Through(full, ExitThresholds())
    ways: Ways = {}
    for curve, path in checkpoints.items():
        ways |= cascade_ways(curve, path, threads)
    ways |= score_ways(checkpoints['cascade'], threads)
    ways |= simpler_ways(model, full, threads)
    results = timed(ways, peer, test.clip, passes, progress)
    full_detections = [full.process_full(frame).detections for _, frame in test.clip]
    curves: dict[str, list[dict[str, Any]]] = {}
    for (curve, setting), result in results.items():
        point = {'setting': setting, **figures(result, test.reference, full_detections)}
        curves.setdefault(curve, []).append(point)
    full_s = statistics.median(result.peer_s for result in results.values())
    return _summary(curves, full_s, f1(full_detections, test.reference)) | {
        'temporal_ms': _temporal_ms(curves['cascade'], results, full_s),
    }


def cascade_ways(curve: str, path: Path, threads: int) -> Ways:
    """One setting for each threshold of the temporal exit; the others keep what `e4 fit` set."""
    thresholds = read_manifest(path).thresholds
    engine = set_up(EngineOptions(str(path), threads=threads)).early_exits
    return {
        (curve, threshold): Through(engine, ExitThresholds(thresholds_at(thresholds, threshold)))
        for threshold in TEMPORAL_THRESHOLDS
    }


def score_ways(path: Path, threads: int) -> Ways:
    """The cascade's heads between stages, without its gates and its temporal exit: BranchyNet.

    An exit is taken where it is sure of its own answer (Teerapittayanon et al., arXiv 1709.01686).
    """
    model, fitted = trainable(path, read_manifest(path))
    exits = [replace(found, gate=None) for found in fitted.exits]
    network = assemble(model, replace(fitted, exits=exits, temporal=None))
    engine = EarlyExitEngine(network, ExitThresholds(), make_runtime('onnxruntime', threads))
    names = [found.name for found in exits]
    return {
        ('score_threshold', threshold): Through(
            engine, ExitThresholds(dict.fromkeys(names, threshold))
        )
        for threshold in SCORE_THRESHOLDS
    }


def thresholds_at(thresholds: Mapping[str, float], temporal: float) -> dict[str, float]:
    """The temporal exit's threshold; the others keep what `e4 fit` set."""
    return {**thresholds, TEMPORAL: temporal}


def simpler_ways(model: TrainableModel, full: EarlyExitEngine, threads: int) -> Ways:
    """What needs no learning: ask the network less often, or show it less."""
    ways: Ways = {('hold', k): EveryKth(full, k, moving=False) for k in STEPS}
    ways |= {('constant_velocity', k): EveryKth(full, k, moving=True) for k in STEPS}
    return ways | {('smaller_input', s): Smaller(model.name, s, threads) for s in SIDES}


def _summary(curves: dict[str, list[dict[str, Any]]], full_s: float, bar: float) -> dict[str, Any]:
    lossless = frontier.no_loss(curves['cascade'], bar)
    finest = frontier.best(curves['cascade'])
    return {
        'full_ms': 1e3 * full_s,
        'full_f1_reference': bar,
        'curves': curves,
        'speedup_at_no_loss': lossless and lossless['speedup'],
        'setting_at_no_loss': lossless and lossless['setting'],
        'best_f1_reference': finest and finest['f1_reference'],
        'compared': frontier.compare(curves),
    }


def _temporal_ms(
    points: Sequence[Mapping[str, Any]], results: Mapping[tuple[str, float], Timed], full_s: float
) -> float | None:
    """Median latency of a frame that the temporal exit answered, on a machine as fast as the rest.

    Taken where it answers most; in units of the peer of the same passes, then in milliseconds.
    """
    result = results['cascade', points[0]['setting']]
    own = [
        statistics.median(seconds)
        for said, *seconds in zip(result.said, *result.seconds, strict=True)
        if said.exit == TEMPORAL
    ]
    return 1e3 * statistics.median(own) / result.peer_s * full_s if own else None
