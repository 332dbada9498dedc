"""The parts of `e4 bench exits`, one after the other; what is measured is saved at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from e4_ros.benchmarks.clips import measure_clips
from e4_ros.benchmarks.exits import page
from e4_ros.benchmarks.exits.curves import measure_curves, thresholds_at
from e4_ros.benchmarks.exits.fitting import VARIANTS, fitted
from e4_ros.benchmarks.exits.footage import (
    CALIBRATE,
    FIT,
    SOURCE,
    TEST,
    Footage,
    changed_streams,
    load_footage,
)
from e4_ros.benchmarks.exits.headline import measure_headline
from e4_ros.benchmarks.exits.memory import MODEL, peak_memory_mb
from e4_ros.benchmarks.exits.risk import measure_risk
from e4_ros.benchmarks.figures import save_figures
from e4_ros.console import Phases
from e4_ros.perception.records import machine_name
from e4_ros.vision.bundle import load_bundle, read_manifest
from e4_ros.vision.models import load_model
from e4_ros.vision.models.trainable import TrainableModel

QUICK_FRAMES = 60
PASSES = 3


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        parts: of ``curves``, ``risk``, ``memory``, ``clips``.
        quick: few frames, one pass.
        threads: within an operation.
        fitted: exits to measure; None to fit them.
        refit: whether to fit what was fitted before.
    """

    parts: Sequence[str]
    quick: bool
    threads: int
    fitted: Path | None
    refit: bool


def run(plan: Plan, out: Path) -> dict[str, Any]:
    """Measure, and write the JSON and the page after each part."""
    model = load_model(MODEL)
    if plan.fitted is not None:
        load_bundle(plan.fitted)  # what cannot be used is to be said before anything takes time
    with Phases() as phases:
        began = time.perf_counter()
        footage = load_footage(model, QUICK_FRAMES if plan.quick else None, phases)
        checkpoints = _checkpoints(plan, model, phases)
        result = about(plan, len(footage.test.clip)) | {'fit_s': time.perf_counter() - began}
        for name, measure in _measurements(plan, model, footage, checkpoints, phases).items():
            began = time.perf_counter()
            result |= measure()
            result['seconds'][name] = time.perf_counter() - began
            _save(result, out)
    return result


def _checkpoints(plan: Plan, model: TrainableModel, phases: Phases) -> dict[str, Path]:
    if plan.fitted is not None:
        return {'cascade': plan.fitted}
    variants = list(VARIANTS) if 'curves' in plan.parts else ['cascade']
    return fitted(model, variants, plan.refit, lambda names: phases('e4 fit', 0, None, names))


def _measurements(
    plan: Plan,
    model: TrainableModel,
    footage: Footage,
    checkpoints: dict[str, Path],
    phases: Phases,
) -> dict[str, Callable[[], dict[str, Any]]]:
    """The parts that are wanted, by name, in the order in which they run."""
    ours, threads = checkpoints['cascade'], plan.threads

    passes = 1 if plan.quick else PASSES

    def curves() -> dict[str, Any]:
        found = measure_curves(
            model, footage.test, checkpoints, threads, passes, partial(phases, 'curves')
        )
        at = found['setting_at_no_loss']
        left = read_manifest(ours).thresholds
        thresholds = left if at is None else thresholds_at(left, at)
        return found | {
            'headline': measure_headline(
                model, footage.test, ours, thresholds, threads, passes, partial(phases, 'headline')
            )
        }

    def risk() -> dict[str, Any]:
        streams = changed_streams(model, footage.test, phases)
        return {'risk': measure_risk(ours, footage.calibrate, streams, threads, phases)}

    def memory() -> dict[str, Any]:
        return {'peak_memory_mb': peak_memory_mb(ours, threads, partial(phases, 'memory'))}

    def clips() -> dict[str, Any]:
        return {'clips': measure_clips(phases, quick=plan.quick)}

    everything = {'curves': curves, 'risk': risk, 'memory': memory, 'clips': clips}
    return {name: part for name, part in everything.items() if name in plan.parts}


def about(plan: Plan, frames: int) -> dict[str, Any]:
    """What the figures are about: machine, date, footage, and how many frames were tested."""
    return {
        'machine': {'name': machine_name(), 'threads': plan.threads},
        'measured': f'{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}',
        'quick': plan.quick,
        'model': MODEL,
        'source': SOURCE,
        'frames': {'fit': FIT, 'calibrate': CALIBRATE, 'test': TEST},
        'frames_tested': frames,
        'exits': 'from `e4 fit`, this benchmark' if plan.fitted is None else str(plan.fitted),
        'seconds': {},
    }


def _save(result: dict[str, Any], out: Path) -> None:
    save_figures(result, out)
    page.write_page(result, out.with_suffix('.html'))
