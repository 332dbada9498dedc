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

"""Exits fitted to their own camera, with the ladder below them, on later frames of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from e4_ros.benchmarks.exits.fitting import fit_seconds
from e4_ros.benchmarks.exits.footage import FIT
from e4_ros.benchmarks.exits.streams import Stream
from e4_ros.benchmarks.exits.turns import Answered, in_turns
from e4_ros.benchmarks.exits.ways import (
    BARE_FULL,
    MIN_SCORE,
    RISKS,
    Engine,
    Key,
    Way,
    ladders,
)
from e4_ros.evaluation.metrics import Labels, compare
from e4_ros.perception.setup import EngineOptions
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.exit_thresholds import DEFAULT_RISK, TEMPORAL, TRACK

TEACHER_SURE = 0.5
"""Score from which a box of the offline teacher counts; people find it right from there on."""


def measure_fitted(
    stream: Stream,
    bundle: Path,
    model: str,
    threads: int,
    teacher: Sequence[Detections] | None,
    quick: bool,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """The ladder with fitted exits and without them, each in turns with the full network.

    Args:
        stream: all of it; the exits learnt from frames `FIT`, and what comes behind is answered.
        bundle: with the fitted exits.
        model: name or path of the bundle without them.
        threads: within an operation.
        teacher: what the offline teacher says of each frame; None to judge by people alone.
        quick: whether to ask for one risk only.
        progress: called with frames done and their number.

    Returns:
        ``stream``, ``fit_s``, the numbers of frames that ``people`` and the ``teacher`` judged, and
        ``ways``: for each ``way``, ``setting``, ``mean_ms``, ``speedup``, ``f1_people`` with its
        interval on the labelled frames behind the fit, ``f1_teacher`` on those behind them, share
        of ``key_frames`` and of answers by ``track`` and ``temporal``.
    """
    first = FIT[1]
    later = replace(stream, clip=stream.clip[first:])
    ways = ways_of(bundle, model, threads, (DEFAULT_RISK,) if quick else RISKS)
    answered = in_turns(ways, later, progress)
    people = stream.labels
    labelled = people.span.stop if people is not None else first
    by_teacher = None
    if teacher is not None and len(stream.clip) > labelled:
        frames = range(labelled, len(stream.clip))
        by_teacher = Labels.of_answers(
            teacher[labelled : len(stream.clip)], TEACHER_SURE, 'the offline teacher', frames
        )
    return {
        'stream': stream.name,
        'moving': stream.moving,
        'fit_s': fit_seconds(bundle),
        'people': [first, labelled] if people is not None else None,
        'teacher': [labelled, len(stream.clip)] if by_teacher is not None else None,
        'ways': [
            {'way': key.way, 'setting': key.setting}
            | _row(one, answered[BARE_FULL], people, by_teacher)
            for key, one in answered.items()
        ],
    }


def ways_of(bundle: Path, model: str, threads: int, risks: tuple[float, ...]) -> dict[Key, Way]:
    """Full network, bare ladder, ladder with fitted exits, and these exits alone."""
    bare = EngineOptions(model, exits=False, tracks=False, threads=threads, min_score=MIN_SCORE)
    own = replace(bare, model=str(bundle), exits=True)
    ways: dict[Key, Way] = {BARE_FULL: Engine(bare)}
    ways |= ladders(model, threads, risks)
    for risk in risks:
        ways[Key('fitted_ladder', risk)] = Engine(replace(own, tracks=True, risk=risk))
    return ways | {Key('fitted_exits'): Engine(own)}


def _row(
    one: Answered, full: Answered, people: Labels | None, teacher: Labels | None
) -> dict[str, Any]:
    said = [answer.detections for answer in one.said]
    frames = range(FIT[1], FIT[1] + len(said))
    by_people = None if people is None else compare(said, people, MIN_SCORE, frames)
    by_teacher = None if teacher is None else compare(said, teacher, MIN_SCORE, frames)
    temporal, track = one.share(TEMPORAL), one.share(TRACK)
    return {
        'mean_ms': 1e3 * one.mean_s,
        'speedup': full.mean_s / one.mean_s,
        'f1_people': by_people and by_people.f1,
        'f1_people_interval': by_people and by_people.interval(),
        'f1_teacher': by_teacher and by_teacher.f1,
        'key_frames': 1 - temporal - track,
        'temporal': temporal,
        'track': track,
    }
