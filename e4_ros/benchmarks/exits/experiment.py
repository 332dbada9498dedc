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

"""The parts of `e4 bench exits`, one after the other; what is measured is saved at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from e4_ros.benchmarks.clips import measure_clips
from e4_ros.benchmarks.exits import page
from e4_ros.benchmarks.exits.fitted import measure_fitted
from e4_ros.benchmarks.exits.fitting import as_folder, fitted
from e4_ros.benchmarks.exits.footage import (
    CALIBRATE,
    FIT,
    SOURCE,
    TEST,
    changed_streams,
    load_footage,
)
from e4_ros.benchmarks.exits.ladder import closer, measure_ladder, risk_online, summary
from e4_ros.benchmarks.exits.memory import MODEL, peak_memory_mb
from e4_ros.benchmarks.exits.peers import peers
from e4_ros.benchmarks.exits.risk import measure_risk
from e4_ros.benchmarks.exits.streams import (
    FRAMES,
    QUICK_FRAMES,
    Place,
    Stream,
    chosen,
    places,
    whole_vtest,
    windowed,
)
from e4_ros.benchmarks.exits.track_cost import measure_track
from e4_ros.benchmarks.exits.ways import MIN_SCORE, closers, ladders
from e4_ros.benchmarks.figures import save_figures
from e4_ros.console import Phases
from e4_ros.evaluation.sources import open_source
from e4_ros.perception.records import machine_name
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.detections import Detections
from e4_ros.vision.export.assemble import assemble
from e4_ros.vision.teacher.offline_teacher import OfflineTeacher
from e4_ros.vision.zoo import load_model

_TRACKED = 200  # frames that say what the exit `track` costs
_INT8_FRAMES = 200  # of a stream, from which int8 learns its ranges

Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        parts: of ``ladder``, ``track``, ``fitted``, ``risk``, ``memory``, ``clips``.
        quick: few frames, one setting each.
        threads: within an operation.
        fitted: exits to measure; None to fit them.
        refit: whether to fit what was fitted before.
        footage: folder with more streams.
        streams: names of those to measure the ladder on; empty for all.
    """

    parts: Sequence[str]
    quick: bool = False
    threads: int = 1
    fitted: Path | None = None
    refit: bool = False
    footage: Path | None = None
    streams: Sequence[str] = ()


def run(plan: Plan, out: Path) -> Figures:
    """Measure, and write the JSON and the page after each part.

    Raises:
        ValueError: there is no such stream, or the fitted exits cannot be used.
        SourceError: footage cannot be read.
        FittingError: `e4 fit` failed.
    """
    if plan.fitted is not None:
        load_bundle(plan.fitted)  # what cannot be used is to be said before anything takes time
    found, missing = places(plan.footage, QUICK_FRAMES if plan.quick else FRAMES)
    found = chosen(found, plan.streams)
    result = about(plan, missing)
    with Phases() as phases:
        parts = _Parts(plan, found, phases)
        for name in plan.parts:
            began = time.perf_counter()
            result |= getattr(parts, name)()
            result['seconds'][name] = round(time.perf_counter() - began, 1)
            save_figures(result, out)
            page.write_page(result, out.with_suffix('.html'))
    return result


def about(plan: Plan, missing: Sequence[str]) -> Figures:
    """What the figures are about: machine, date, settings, and what was not there."""
    return {
        'machine': {'name': machine_name(), 'threads': plan.threads},
        'measured': f'{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}',
        'quick': plan.quick,
        'model': MODEL,
        'source': SOURCE,
        'frames': {'fit': FIT, 'calibrate': CALIBRATE, 'test': TEST},
        'min_score': MIN_SCORE,
        'exits': 'from `e4 fit`, this benchmark' if plan.fitted is None else str(plan.fitted),
        'missing': list(missing),
        'seconds': {},
    }


class _Parts:
    """What can be measured, by name; what two of them need is made once."""

    def __init__(self, plan: Plan, found: Sequence[Place], phases: Phases) -> None:
        self._plan, self._places, self._phases = plan, found, phases
        self._fitted: dict[str, Path] = {} if plan.fitted is None else {SOURCE: plan.fitted}

    def ladder(self) -> Figures:
        threads = self._plan.threads
        frames = list(islice(open_source(self._places[0].source), 0, _INT8_FRAMES, 5))
        more = closers(MODEL, threads)
        more |= peers(MODEL, threads, [frame for _, frame in frames], self._plan.quick)
        streams = measure_ladder(self._places, ladders(MODEL, threads), more, self._phases)
        return {
            'ladder': summary(streams),
            'closer': closer(streams),
            'risk_online': risk_online(streams),
            'streams': streams,
        }

    def track(self) -> Figures:
        frames = QUICK_FRAMES if self._plan.quick else _TRACKED
        source, told = self._places[0].source, partial(self._phases, 'track')
        return measure_track(MODEL, self._plan.threads, source, frames, told)

    def fitted(self) -> Figures:
        plan, whole = self._plan, whole_vtest(self._plan.footage)
        labelled = CALIBRATE[1]
        cameras = [whole]
        if plan.fitted is None:
            cameras.append(windowed(replace(whole, clip=whole.clip[:labelled])))
        found = []
        for stream in cameras:
            bundle = self._exits(stream)
            told = partial(self._phases, f'fitted to {stream.name}')
            teacher = self._teacher(stream) if stream is whole else None
            found.append(
                measure_fitted(stream, bundle, MODEL, plan.threads, teacher, plan.quick, told)
            )
        return {'fitted': found}

    def risk(self) -> Figures:
        plan, model = self._plan, load_model(MODEL)
        footage = load_footage(model, QUICK_FRAMES if plan.quick else None, self._phases)
        streams = changed_streams(model, footage.test, self._phases)
        bundle = self._exits(Stream(SOURCE, footage.fit, moving=False))
        threads = plan.threads
        return {'risk': measure_risk(bundle, footage.calibrate, streams, threads, self._phases)}

    def memory(self) -> Figures:
        told = partial(self._phases, 'memory')
        return {'peak_memory_mb': peak_memory_mb(self._plan.threads, told)}

    def clips(self) -> Figures:
        return {'clips': measure_clips(self._phases, quick=self._plan.quick)}

    def _teacher(self, stream: Stream) -> list[Detections]:
        teacher, total = OfflineTeacher(assemble(load_model(MODEL))), len(stream.clip)
        return teacher.pseudo_label(stream.clip, lambda done: self._phases('teacher', done, total))

    def _exits(self, stream: Stream) -> Path:
        """Fitted to the first frames of the stream, now or before."""
        if stream.name not in self._fitted:
            source = SOURCE if stream.name == SOURCE else str(as_folder(stream))
            self._fitted[stream.name] = fitted(
                load_model(MODEL),
                source,
                self._plan.refit,
                lambda spent_s: self._phases(f'e4 fit, {stream.name}', spent_s, None, 'seconds'),
            )
        return self._fitted[stream.name]
