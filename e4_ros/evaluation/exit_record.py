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

"""Exits of the frames of a real stream: recorded once, then replayed on simulated boards."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from e4_ros import paths
from e4_ros.energy.board_model import SegmentWork, works_as_if_on, works_of
from e4_ros.evaluation.metrics import agreement
from e4_ros.evaluation.simulation.reproduction import Backbone, ExitTrace
from e4_ros.files import write_whole

if TYPE_CHECKING:
    from e4_ros.vision.detections import Detections
    from e4_ros.vision.inference.engine import EarlyExitEngine, FrameResult

MIN_FRAMES = 20
SHIPPED = paths.config_dir() / 'exits' / 'vtest.json'
"""Half a minute of `vtest` with exits that were fitted to its beginning; see docs/profiling.md."""
Stream = Sequence[tuple[float, np.ndarray]]


class ExitRecordError(ValueError):
    """No record of exits, or none that can be replayed; the message says why."""


def record_exits(model: str, stream: Stream, tell: Callable[[str], None] = print) -> Backbone:
    """Run a network on a stream and record the exit of each frame.

    EENet's exits (git-disl/EENet) have no memory of the stream; the first third of the frames sets
    the threshold of the middle exit so that at most half of them leave there.

    Args:
        model: name of a bundle that ships, or path of a bundle.
        stream: pairs of stamp in seconds and frame ``(H, W, 3)`` uint8 RGB.
        tell: function that receives what is being run.

    Raises:
        ExitRecordError: fewer than `MIN_FRAMES` frames, or nothing is found in them.
        ValueError: there is no such bundle, or it is damaged.
    """
    from e4_ros.perception.setup import EngineOptions, set_up
    from e4_ros.vision.inference.exit_thresholds import FULL, TEMPORAL, ExitThresholds

    if len(stream) < MIN_FRAMES:
        raise ExitRecordError(f'{len(stream)} frames are too few; {MIN_FRAMES} are needed')
    engine = set_up(EngineOptions(model, threads=1)).early_exits
    tell('the full network')
    full = [engine.process_full(frame).detections for _, frame in stream]
    paths = engine.paths
    tell('exits of E4')
    e4 = _trace(engine, paths, _run(engine, stream), full)
    works = works_as_if_on('cuda', works_of(engine.segments))  # what the papers' boards do
    middle = next((name for name in paths if name not in (TEMPORAL, FULL)), None)
    if middle is None:
        eenet = ExitTrace({FULL: paths[FULL]}, (FULL,) * len(stream), 1.0)
        return Backbone(model, works, e4, eenet)
    tell('exits as EENet')
    engine.thresholds = ExitThresholds({middle: 0.0})
    third = _run(engine, stream[: len(stream) // 3])
    threshold = _at_most_half([result.gate_scores[middle] for result in third])
    engine.thresholds = ExitThresholds({middle: threshold})
    both = {name: paths[name] for name in (middle, FULL)}
    eenet = _trace(engine, both, _run(engine, stream), full)
    return Backbone(model, works, e4, eenet)


def save_exits(path: Path, backbones: Sequence[Backbone], about: str = '') -> None:
    """Write a record as JSON; ``about`` says how it was made."""
    record = {'about': about, 'backbones': [asdict(b) for b in backbones]}
    write_whole(path, json.dumps(record) + '\n')


def about_exits(path: Path) -> str:
    """How a record that :func:`load_exits` accepts was made; its name where it does not say."""
    return str(json.loads(path.read_text()).get('about') or path)


def load_exits(path: Path) -> list[Backbone]:
    """Read what :func:`save_exits` wrote.

    Raises:
        ExitRecordError: the file is not such a record.
        OSError: the file cannot be read.
    """
    try:
        entries = json.loads(path.read_text())['backbones']
        found = [
            Backbone(
                entry['name'],
                [SegmentWork(**work) for work in entry['works']],
                _trace_of(entry['e4'], len(entry['works'])),
                _trace_of(entry['eenet'], len(entry['works'])),
            )
            for entry in entries
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ExitRecordError(
            f'{path}: not a record of exits as `e4 reproduce` leaves it: {error!r}'
        ) from error
    if not found:
        raise ExitRecordError(f'{path}: the record is empty')
    return found


def _trace_of(entry: dict, segments: int) -> ExitTrace:
    paths = {str(name): [int(row) for row in rows] for name, rows in entry['paths'].items()}
    exits = tuple(entry['exits'])
    if len(exits) < MIN_FRAMES:
        raise ValueError(f'{len(exits)} frames are too few')
    if unknown := set(exits) - set(paths):
        raise ValueError(f'exits without a path: {", ".join(sorted(unknown))}')
    if any(
        rows != list(range(len(rows))) or not 0 < len(rows) <= segments for rows in paths.values()
    ):
        raise ValueError(f'paths {paths} do not run through the {segments} segments in order')
    return ExitTrace(paths, exits, float(entry['agreement']))


def _run(engine: EarlyExitEngine, stream: Stream) -> list[FrameResult]:
    engine.reset()
    return [engine.process(frame, stamp_s) for stamp_s, frame in stream]


def _trace(
    engine: EarlyExitEngine,
    paths: dict[str, list[int]],
    results: Sequence[FrameResult],
    full: Sequence[Detections],
) -> ExitTrace:
    answers = [result.detections for result in results]
    exits = tuple(result.exit for result in results)
    agreed = agreement(engine.model.task, answers, full)
    if agreed is None:
        raise ExitRecordError(
            f'{engine.model.name} finds nothing in these {len(full)} frames, so nothing says '
            'whether its exits agree with it; record footage that shows what it knows'
        )
    return ExitTrace(paths, exits, agreed)


def _at_most_half(scores: Sequence[float]) -> float:
    """The lowest threshold that at most half of the scores reach."""
    ordered = np.sort(np.asarray(scores))[::-1]
    reached = ordered[len(ordered) // 2] if len(ordered) else 0.0
    return float(np.nextafter(reached, np.inf))
