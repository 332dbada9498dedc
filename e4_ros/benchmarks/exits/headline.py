"""The cascade as perception runs it: with audits, and with a look at what pays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros.benchmarks.exits.footage import Judged
from e4_ros.benchmarks.exits.timing import figures, timed
from e4_ros.benchmarks.exits.ways import Through, Watched, full_engine
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.inference.exit_thresholds import ExitThresholds
from e4_ros.vision.models.trainable import TrainableModel


def measure_headline(
    model: TrainableModel,
    test: Judged,
    path: Path,
    thresholds: Mapping[str, float],
    threads: int,
    passes: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """One setting with everything on; the audit's cost stands apart.

    Args:
        model: the detector.
        test: the stream.
        path: the bundle with the exits.
        thresholds: by exit.
        threads: within an operation.
        passes: over the stream.
        progress: called with passes done and their number.

    Returns:
        ``speedup`` and ``mean_ms`` of the answers, ``audit_ms`` a frame on average,
        ``speedup_with_audit``, the number of ``audits``, both F1, ``early_share``, and
        ``switched_off``: why, by exit.
    """
    engine = set_up(EngineOptions(str(path), threads=threads)).early_exits
    way = Watched(engine, load_bundle(path).network, thresholds, pays=True)
    full = full_engine(model, threads)
    result = timed(
        {('headline', 0.0): way}, Through(full, ExitThresholds()), test.clip, passes, progress
    )['headline', 0.0]
    full_detections = [full.process_full(frame).detections for _, frame in test.clip]
    # A median over audits, because a single slow one among the few would tell of the machine.
    audits = len(way.audit_s)
    audit_s = float(np.median(way.audit_s)) * audits / len(test.clip) if audits else 0.0
    return {
        'thresholds': dict(thresholds),
        **figures(result, test.reference, full_detections),
        'speedup_with_audit': result.peer_s / (result.mean_s + audit_s),
        'audit_ms': 1e3 * audit_s,
        'audits': audits,
        'switched_off': engine.off,
    }
