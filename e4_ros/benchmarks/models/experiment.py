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

"""The files of `e4 bench models`, one after the other; what is measured is saved at once."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros.benchmarks.exits.streams import FRAMES, QUICK_FRAMES, Place, chosen, places
from e4_ros.benchmarks.exits.ways import MIN_SCORE
from e4_ros.benchmarks.figures import save_figures
from e4_ros.benchmarks.machine import machine
from e4_ros.benchmarks.models import page
from e4_ros.benchmarks.models.boxes import MOST_APART, agreement, pairs
from e4_ros.benchmarks.models.chain import chain_differences, outputs_of
from e4_ros.benchmarks.models.original import original_difference
from e4_ros.benchmarks.models.reference import FAMILIES, Reference
from e4_ros.benchmarks.models.streams import measure_streams
from e4_ros.console import Phases
from e4_ros.evaluation.sources import open_source
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.class_map import ClassMap
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.models.described import DescribedModel
from e4_ros.vision.onnx_file.families import FAMILIES as LOOKS
from e4_ros.vision.onnx_file.load import model_of, understand
from e4_ros.vision.runtime.factory import make_runtime

_COMPARED = 24  # frames on which boxes are compared
_CHAINED = 4  # of them, on which outputs of stages are
_TIMED = 60  # passes of the whole network

Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        files: detectors.
        quick: few frames.
        threads: within an operation.
        footage: folder with more streams.
        streams: names of those to measure on; empty for all.
    """

    files: Sequence[Path]
    quick: bool = False
    threads: int = 1
    footage: Path | None = None
    streams: Sequence[str] = ()


def run(plan: Plan, out: Path) -> Figures:
    """Measure, and write the JSON and the page after each file.

    Raises:
        ValueError: there is no such stream.
        SourceError: footage cannot be read.
    """
    there, missing = places(plan.footage, QUICK_FRAMES if plan.quick else FRAMES)
    there = chosen([place for place in there if not place.perturbed], plan.streams)
    missing = [words for words in missing if not words.startswith('labels')]  # nobody judges here
    result: Figures = {
        'machine': machine() | {'threads': plan.threads},
        'measured': f'{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}',
        'quick': plan.quick,
        'min_score': MIN_SCORE,
        'missing': missing,
        'models': [],
        'failed': [],
    }
    save_figures(result, out)
    with Phases() as phases:
        frames = spread_frames(there, _COMPARED) if plan.files else []
        for file in plan.files:
            try:
                result['models'].append(measure(file, plan.threads, there, frames, phases))
            except Exception as error:  # whatever it is, the other files go on
                if not isinstance(error, (ValueError, OSError)):
                    traceback.print_exc()
                result['failed'].append({'file': file.name, 'why': reason(error, file)})
            save_figures(result, out)
            page.write_page(result, out.with_suffix('.html'))
    return result


def measure(
    file: Path,
    threads: int,
    there: Sequence[Place],
    frames: Sequence[np.ndarray],
    phases: Phases,
) -> Figures:
    """All figures of one file.

    Raises:
        ValueError: it cannot be read, or is not understood; it says why, and what to do.
        OSError: likewise.
    """
    name = file.name
    phases(f'{name}: chain', 0, 1)
    found = understand(file)
    if found.task != 'detect':
        raise ValueError('it is a classifier, and has no boxes that could be compared or tracked')
    tensors = dict(found.outputs)
    model = model_of(found, file)
    runtime, few = make_runtime('onnxruntime', threads), frames[:_CHAINED]
    whole = outputs_of(model, [], few, runtime)
    chained = chain_differences(model, few, whole, runtime)
    least = MIN_SCORE - MOST_APART
    bare = EngineOptions(str(file), exits=False, tracks=False, threads=threads, min_score=least)
    engine = set_up(bare).early_exits
    took = [engine.process_full(frames[i % len(frames)]).latency_s for i in range(_TIMED)]
    phases(f'{name}: chain', 1, 1)
    return {
        'file': name,
        'family': found.family,
        'classes': len(model.class_names),
        'input': list(model.input_size),
        'recognised': list(found.notes),
        'chain_max_diff': max((one['max_diff'] for one in chained), default=0.0),
        'original_max_diff': original_difference(file, model, tensors, few, whole),
        'chains': chained,
        'full_ms': 1e3 * float(np.median(took)),
        'reference': _reference(file, found.family, engine, frames, phases),
        'streams': measure_streams(
            str(file), threads, there, lambda s, done, total: phases(f'{name}: {s}', done, total)
        ),
    }


def spread_frames(there: Sequence[Place], count: int) -> list[np.ndarray]:
    """Frames from all streams, spread over each of them, no two streams of one video."""
    sources = list(dict.fromkeys(place.source for place in there))
    each = -(-count // len(sources))
    found = []
    for source in sources:
        video = [frame for _, frame in islice(open_source(source), FRAMES)]
        found += [video[i] for i in np.linspace(0, len(video) - 1, each).astype(int)]
    return found


def reason(error: Exception, file: Path) -> str:
    """Why a file was refused, without the folder it lies in."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if not isinstance(error, (ValueError, OSError)):
        words = f'a bug, {type(error).__name__}: {words}'
    return words.replace(str(file), file.name)


def _reference(
    file: Path,
    family: str,
    engine: EarlyExitEngine,
    frames: Sequence[np.ndarray],
    phases: Phases,
) -> Figures:
    """Boxes of the engine beside those of the file, read by plain code."""
    model = engine.model
    assert isinstance(model, DescribedModel), 'a bundle describes its model'
    if family not in FAMILIES:
        return {'why': f'there is no plain reading of {family} here'}
    if model.preprocessing != LOOKS[family].look.preprocessing(model.input_size):
        return {'why': f'its frames are prepared in another way than those of {family} usually are'}
    reference = Reference(file, family, model.input_size, getattr(model.decoder, 'nms_iou', None))
    named, least, found = ClassMap(model.labels), MIN_SCORE - MOST_APART, []
    for done, frame in enumerate(frames, 1):
        try:
            theirs = named.narrow(reference(frame, least))
        except (ValueError, LookupError) as error:
            return {'why': f'the file is not as those of {family} usually are: {error}'}
        found.append(pairs(engine.process_full(frame).detections, theirs, MIN_SCORE))
        phases(f'{file.name}: reference', done, len(frames))
    return agreement(found)
