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

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip('supervision')

from e4_ros.benchmarks.exits import tables
from e4_ros.benchmarks.exits.ladder import (
    AUDITED,
    LADDER,
    closer,
    frame_losses,
    risk_online,
    rows_of,
    summary,
    way_of,
)
from e4_ros.benchmarks.exits.streams import Stream
from e4_ros.benchmarks.exits.turns import Answered
from e4_ros.benchmarks.exits.ways import BARE_FULL, FULL_TRACKED, Key, Said
from e4_ros.evaluation.metrics import FrameLabels, Labels
from e4_ros.vision.detections import Detections

FRAMES = AUDITED + 100
BOX = np.array([[10.0, 10, 40, 90]])
FRAME = np.zeros((100, 100, 3), np.uint8)


def tracked(boxes: np.ndarray) -> Detections:
    found = Detections.of(boxes, np.full(len(boxes), 0.9))
    ids = np.arange(1, len(boxes) + 1)
    return Detections(found.boxes, found.scores, found.labels, ids)


def answered(ms: float, wrong_from: int | None, exits: tuple[str, ...] = ('full',)) -> Answered:
    """Right up to a frame, and with an invented object from there on."""
    said = [
        Said(
            tracked(np.vstack([BOX, BOX + 50]) if wrong_from is not None and i >= wrong_from
                    else BOX),
            exits[i % len(exits)],
        )
        for i in range(FRAMES)
    ]  # fmt: skip
    return Answered(said, [ms / 1e3] * FRAMES)


def stream_of(labels: bool = True) -> Stream:
    drawn = Labels('drawn', [FrameLabels.of(BOX, np.array([7]))] * FRAMES) if labels else None
    return Stream('a stream', [(i / 10, FRAME) for i in range(FRAMES)], False, drawn)


def measured(labels: bool = True, own: Key = LADDER) -> dict:
    ways = {
        FULL_TRACKED: answered(12, None),
        BARE_FULL: answered(10, 0),
        own: answered(2.5, AUDITED, ('full', 'track', 'track', 'track')),
    }
    rows = rows_of(ways, stream_of(labels))
    return {'stream': 'a stream', 'moving': False, 'perturbed': False, 'ways': rows}


def test_an_entry_has_just_the_fields_that_were_agreed():
    (entry,) = summary([measured()])
    assert list(entry) == [
        'stream', 'moving', 'speedup', 'f1_people', 'f1_people_full', 'f1_people_full_tracked',
        'f1_full_tracked', 'key_frames', 'delay_frames', 'id_switches',
    ]  # fmt: skip
    assert entry['speedup'] == pytest.approx(4.0), 'against the bare network, which is faster'
    assert entry['f1_people'] == pytest.approx(2 * 400 / (400 + 400 + 100))
    assert entry['f1_people_full'] == pytest.approx(2 / 3)
    assert entry['f1_people_full_tracked'] == 1
    assert entry['key_frames'] == 0.25
    assert (entry['delay_frames'], entry['id_switches']) == (0, 0)
    json.dumps(entry)


def test_without_labels_people_say_nothing_and_the_tracked_network_is_the_judge():
    (entry,) = summary([measured(labels=False)])
    assert entry['f1_people'] is entry['f1_people_full'] is entry['f1_people_full_tracked'] is None
    assert entry['f1_full_tracked'] == pytest.approx(2 * 400 / 900)
    assert (entry['delay_frames'], entry['id_switches']) == (0, 0)


def test_the_loss_is_seen_after_three_hundred_frames():
    (row,) = risk_online([measured(own=Key('ladder', 0.1))])
    assert risk_online([measured(own=Key('ladder', 0.123))]) == [], 'nobody asked for that'
    assert row == {'stream': 'a stream', 'asked': 0.1, 'seen': 0.0, 'key_frames': 0.25}
    to_the_end = way_of(measured(), LADDER)['loss']
    assert to_the_end == pytest.approx(100 / 400 * (1 - 2 / 3))


def test_the_full_network_with_tracker_loses_nothing_against_itself():
    row = way_of(measured(), FULL_TRACKED)
    assert (row['loss'], row['f1_full_tracked'], row['speedup_tracked']) == (0, 1, 1)
    assert row['above_tracked'] == (0, 0)


def test_a_perturbed_stream_tries_the_promise_only():
    stream = measured(own=Key('ladder', 0.1)) | {'perturbed': True}
    assert summary([stream]) == []
    assert len(risk_online([stream])) == 1


def test_closer_looks_are_judged_by_people_on_the_stream_that_they_labelled():
    nobody = measured(labels=False, own=Key('closer', 0.5)) | {'labels': None}
    people = measured(own=Key('closer', 0.5)) | {'labels': 'drawn'}
    assert closer([nobody]) == []
    assert closer([nobody, people]) == [{'passes': 0.25, 'f1_people': pytest.approx(800 / 900)}]


def test_two_empty_answers_agree():
    nothing = tracked(np.zeros((0, 4)))
    assert frame_losses([nothing, nothing], [nothing, tracked(BOX)]).tolist() == [0, 1]


def test_a_stream_without_a_peer_has_no_speed_up():
    ways = {FULL_TRACKED: answered(12, None), LADDER: answered(3, None)}
    own = next(row for row in rows_of(ways, stream_of()) if row['way'] == 'ladder')
    assert own['speedup'] is None
    assert own['speedup_tracked'] == pytest.approx(4.0)


def test_what_cannot_be_said_is_not_a_number_on_the_terminal_either():
    streams = [measured(labels=False)]
    online = risk_online([measured(own=Key('ladder', 0.1))])
    result = {'ladder': summary(streams), 'streams': streams, 'risk_online': online}
    assert tables.ladder_rows(result)[0][4:7] == ['n/a'] * 3
    assert [row[1] for row in tables.way_rows(result)] == [
        'full network with tracker', 'full network, bare', 'ladder'
    ]  # fmt: skip
    assert tables.online_rows(result)[0][3] == '0.00'


def test_a_way_that_was_not_asked_is_not_there():
    assert way_of(measured(), Key('bytetrack', 3)) is None
