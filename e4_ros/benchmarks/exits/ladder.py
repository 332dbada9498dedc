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

"""The ladder beside its peers on every stream, and whether the loss stays at the risk asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from e4_ros.benchmarks.exits.streams import Place, Stream
from e4_ros.benchmarks.exits.turns import Answered, in_turns
from e4_ros.benchmarks.exits.ways import (
    ASKED,
    BARE_FULL,
    BETWEEN,
    FULL_TRACKED,
    MIN_SCORE,
    Key,
    Way,
)
from e4_ros.evaluation.metrics import Compared, Labels, compare, f1_difference, judge
from e4_ros.vision.agreement import disagreement
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.exit_thresholds import DEFAULT_RISK, TEMPORAL, TRACK

LADDER = Key('ladder', DEFAULT_RISK)
AUDITED = 300
"""Frames after which the loss of a stream is held against the risk that was asked for."""

_CHEAP = (TRACK, TEMPORAL, BETWEEN)  # exits for which the network does not run

Row = dict[str, Any]


def measure_ladder(
    places: Sequence[Place],
    ways: Mapping[Key, Way],
    more: Mapping[Key, Way],
    progress: Callable[[str, int, int], None],
) -> list[Row]:
    """Every stream by every way; perturbed ones by the first kind alone.

    Args:
        places: the streams.
        ways: full network with tracker, and the ladder.
        more: peers.
        progress: called with the stream, frames done and their number.

    Returns:
        For each stream ``stream``, ``moving``, ``frames``, ``perturbed``, ``labels`` (of people, or
        null), and ``ways``: one `row_of` each.
    """
    found = []
    for place in places:
        stream = place.open()
        asked = dict(ways) if place.perturbed else {**ways, **more}
        answered = in_turns(asked, stream, partial(progress, place.name))
        found.append(
            {
                'stream': stream.name,
                'moving': stream.moving,
                'frames': len(stream.clip),
                'perturbed': place.perturbed,
                'change': stream.change,
                'labels': stream.labels and stream.labels.name,
                'ways': rows_of(answered, stream),
            }
        )
    return found


def rows_of(answered: Mapping[Key, Answered], stream: Stream) -> list[Row]:
    """The figures of each way on a stream."""
    reference = answers_of(answered[FULL_TRACKED])
    labels = stream.labels
    by_people = None if labels is None else compare(reference, labels, MIN_SCORE)
    return [
        {'way': key.way, 'setting': key.setting}
        | row_of(one, answered, stream, reference, by_people)
        for key, one in answered.items()
    ]


def row_of(
    one: Answered,
    answered: Mapping[Key, Answered],
    stream: Stream,
    reference: Sequence[Detections],
    bar: Compared | None,
) -> Row:
    """The figures of one way.

    Args:
        one: of the way.
        answered: all ways of the stream.
        stream: what was answered.
        reference: answers of the full network with the tracker.
        bar: what people's labels say of the reference; None without labels.

    Returns:
        ``mean_ms``; ``speedup`` against the bare full network and ``speedup_tracked`` against the
        one with the tracker; ``key_frames``, share; ``f1_people`` with ``f1_people_interval`` and
        ``above_tracked``, interval of what it is above the reference by; ``f1_full_tracked``;
        ``delay_frames``, ``never`` and ``id_switches`` by people where there are labels, else by
        the reference; ``loss`` and ``loss_audited``, mean of ``1 - F1`` of a frame against the
        reference, to the end and to frame `AUDITED`.
    """
    said = answers_of(one)
    alike = Labels.of_answers(reference, MIN_SCORE)
    judged = judge(said, stream.labels or alike, MIN_SCORE, limits=())
    people = None if stream.labels is None else judged
    losses = frame_losses(said, reference)
    full = answered.get(BARE_FULL)
    return {
        'mean_ms': 1e3 * one.mean_s,
        'speedup': full and full.mean_s / one.mean_s,
        'speedup_tracked': answered[FULL_TRACKED].mean_s / one.mean_s,
        'key_frames': 1 - one.share(*_CHEAP),
        'f1_people': people and people.f1,
        'f1_people_interval': people and people.interval(),
        'above_tracked': people and bar and f1_difference(people.each, bar.each),
        'f1_full_tracked': compare(said, alike, MIN_SCORE).f1,
        'delay_frames': judged.delay and judged.delay.mean_frames,
        'never': judged.delay and judged.delay.never,
        'id_switches': judged.tracking and judged.tracking.id_switches,
        'loss': float(losses.mean()),
        'loss_audited': float(losses[:AUDITED].mean()),
    }


def frame_losses(said: Sequence[Detections], reference: Sequence[Detections]) -> np.ndarray:
    """``1 - F1`` of each frame."""
    pairs = zip(said, reference, strict=True)
    return np.array([disagreement(ours, theirs, 'detect', score=0.0) for ours, theirs in pairs])


def answers_of(answered: Answered) -> list[Detections]:
    """The detections of each frame."""
    return [one.detections for one in answered.said]


def summary(streams: Sequence[Row]) -> list[Row]:
    """One entry a stream as it was filmed: the ladder at the default risk, without its peers."""
    entries = []
    for stream in streams:
        if stream['perturbed']:
            continue
        own, full, tracked = (
            way_of(stream, key) or {} for key in (LADDER, BARE_FULL, FULL_TRACKED)
        )
        entries.append(
            {
                'stream': stream['stream'],
                'moving': stream['moving'],
                'speedup': own['speedup'],
                'f1_people': own['f1_people'],
                'f1_people_full': full['f1_people'],
                'f1_people_full_tracked': tracked['f1_people'],
                'f1_full_tracked': own['f1_full_tracked'],
                'key_frames': own['key_frames'],
                'delay_frames': own['delay_frames'],
                'id_switches': own['id_switches'],
            }
        )
    return entries


def risk_online(streams: Sequence[Row]) -> list[Row]:
    """Loss seen at each risk asked for, after `AUDITED` frames or at the end of what is shorter."""
    return [
        {
            'stream': stream['stream'],
            'asked': way['setting'],
            'seen': way['loss_audited'],
            'key_frames': way['key_frames'],
        }
        for stream in streams
        for way in stream['ways']
        if way['way'] == LADDER.way and way['setting'] in ASKED
    ]


def closer(streams: Sequence[Row]) -> list[Row]:
    """Passes of the network a frame and F1 by people, of the first stream that people labelled."""
    for stream in streams:
        if stream['labels'] is not None:
            return [
                {'passes': way['key_frames'], 'f1_people': way['f1_people']}
                for way in stream['ways']
                if way['way'] == 'closer'
            ]
    return []


def way_of(stream: Row, key: Key) -> Row | None:
    """The figures of a way on a stream; None where it was not asked."""
    for way in stream['ways']:
        if (way['way'], way['setting']) == key:
            return way
    return None
