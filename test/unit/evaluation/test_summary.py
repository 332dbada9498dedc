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
import math
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from e4_ros.evaluation.metrics import FrameLabels, Labels
from e4_ros.evaluation.report.summary import Summary, summarise
from e4_ros.perception.audit_totals import AuditTotals
from e4_ros.perception.records import StreamRisk
from e4_ros.vision.detections import Detections

KEYS = [
    'frames_received', 'frames_processed', 'frames_dropped', 'exits', 'latency_ms',
    'end_to_end_ms', 'full_latency_ms', 'speedup_vs_full', 'f1_vs_full', 'agreement', 'min_score',
    'by_labels', 'risk', 'edge', 'energy_j_per_frame', 'baseline_energy_j_per_frame',
    'waits_counted', 'with_waits', 'energy_source', 'board', 'model', 'source', 'runtime',
    'device', 'board_device', 'audits', 'exit_notes',
]  # fmt: skip


def test_the_numbers_of_a_run(records, info):
    summary = summarise(records, info(records, frames_received=14, frames_dropped=2))
    assert (summary.frames_received, summary.frames_processed, summary.frames_dropped) == (
        14,
        12,
        2,
    )
    assert summary.exits == {'temporal': 6, 'exit1': 3, 'full': 3}
    assert summary.latency_ms.p50 == pytest.approx(2.5)  # half are 1 ms, the next 4 ms
    assert summary.latency_ms.mean == pytest.approx((6 * 1 + 3 * 4 + 3 * 10) / 12)
    assert summary.full_latency_ms.mean == pytest.approx(10)
    assert summary.speedup_vs_full == pytest.approx(10 / 4)
    assert summary.f1_vs_full == 1.0
    assert summary.energy_j_per_frame == pytest.approx((6 * 0.002 + 3 * 0.01 + 3 * 0.03) / 12)
    assert summary.baseline_energy_j_per_frame == pytest.approx(0.04)
    assert summary.energy_source == 'modelled'


def test_the_file_has_exactly_these_keys(records, info, tmp_path):
    summarise(records, info(records)).save(tmp_path / 'summary.json')
    data = json.loads((tmp_path / 'summary.json').read_text())
    assert list(data) == KEYS
    assert list(data['latency_ms']) == ['p50', 'p95', 'p99', 'mean']
    assert list(data['full_latency_ms']) == ['p50', 'mean']
    assert Summary.model_validate(data).model_dump() == data


def test_the_age_of_answers_is_that_of_those_that_were_published(records, info):
    assert summarise(records, info(records)).end_to_end_ms is None
    aged = [replace(records[0], end_to_end_s=0.05), replace(records[1], end_to_end_s=0.07)]
    aged += records[2:]
    assert summarise(aged, info(aged)).end_to_end_ms.mean == pytest.approx(60)


def test_audits_are_a_row_of_their_own(records, info):
    audits = AuditTotals(
        {'temporal': 2}, {'temporal': 0.5}, {}, passes=14, seconds=0.12, energy_j=2.4
    )
    alone = summarise(records, info(records))
    summary = summarise(records, info(records, audits=audits))
    assert summary.audits.count == 2
    assert summary.audits.passes == 14
    assert summary.audits.loss == {'temporal': 0.25}
    assert summary.audits.ms_per_frame == pytest.approx(10.0)  # over 12 frames
    assert summary.audits.energy_j_per_frame == pytest.approx(0.2)
    assert summary.latency_ms == alone.latency_ms
    assert alone.audits is None


def test_an_unknown_key_is_refused(records, info):
    data = summarise(records, info(records)).model_dump()
    with pytest.raises(ValidationError, match='Extra inputs'):
        Summary.model_validate(data | {'speed': 3})


def test_exits_nobody_took_are_listed_with_zero(record, info):
    records = [record(0, 'full')]
    assert summarise(records, info(records)).exits == {'temporal': 0, 'exit1': 0, 'full': 1}


def test_without_a_comparison_nothing_is_compared(records, info):
    alone = [replace(r, full=None) for r in records]
    summary = summarise(alone, info(alone))
    assert summary.full_latency_ms is None
    assert summary.speedup_vs_full is None
    assert summary.f1_vs_full is None


def test_only_compared_frames_are_compared(record, info):
    wrong = Detections.of(np.array([[100, 100, 120, 140]]), np.array([0.9]))
    mixed = [replace(record(0, 'full'), full=None), record(1, 'exit1'), record(2, 'exit1')]
    mixed[2] = replace(mixed[2], result=replace(mixed[2].result, detections=wrong))
    summary = summarise(mixed, info(mixed))
    assert summary.f1_vs_full == pytest.approx(0.5)


def boxes_of(*rows):
    return Detections.of(np.array([box for box, _ in rows]), np.array([s for _, s in rows]))


A, B = [0, 0, 10, 20], [100, 0, 110, 20]


def test_agreement_counts_what_is_published_and_says_how_much_that_is(record, info):
    mixed = [record(0, 'full', boxes_of((A, 0.9), (B, 0.3)))]
    mixed[0] = replace(
        mixed[0], result=replace(mixed[0].result, detections=boxes_of((A, 0.25), (B, 0.1)))
    )
    summary = summarise(mixed, info(mixed), min_score=0.2)
    assert summary.f1_vs_full == pytest.approx(2 / 3, rel=1e-5)
    boxes = summary.agreement.boxes
    assert (boxes.hits, boxes.detections, boxes.labels) == (1, 1, 2)
    assert summary.agreement.delay is None  # the full network's answers have no ids
    assert summary.min_score == 0.2
    assert summarise(mixed, info(mixed), min_score=0.5).f1_vs_full == 0


def test_where_neither_found_a_box_there_is_no_agreement(record, info):
    nothing = [record(0, 'full', Detections.empty())]
    summary = summarise(nothing, info(nothing))
    assert summary.f1_vs_full is None
    assert summary.agreement.boxes.labels == 0


def test_delay_against_the_full_network_is_about_its_own_objects(record, info):
    seen = replace(boxes_of((A, 0.9)), ids=np.array([4]))
    late = [record(0, 'full', seen), record(1, 'full', seen)]
    late[0] = replace(late[0], result=replace(late[0].result, detections=Detections.empty()))
    delay = summarise(late, info(late)).agreement.delay
    assert (delay.mean_frames, delay.reported, delay.never) == (1.0, 1, 0)


def test_labels_judge_the_run_and_the_full_network(record, info):
    run = [record(i, 'exit1', boxes_of((A, 0.9), (B, 0.4))) for i in range(2)]
    run[1] = replace(run[1], result=replace(run[1].result, detections=boxes_of((A, 0.9))))
    labels = Labels('gt.txt', [FrameLabels.of(np.array([A, B]), np.array([1, 2]))] * 2)
    judged = summarise(run, info(run), labels=labels).by_labels
    assert (judged.labels, judged.frames, judged.first_frame) == ('gt.txt', 2, 0)
    assert judged.run.f1 == pytest.approx(6 / 7, rel=1e-5)
    assert (judged.run.precision, judged.run.recall) == (1, 0.75)
    assert judged.full.f1 == 1
    assert judged.run.f1_interval is judged.f1_difference is None  # two frames are too few
    assert judged.run.id_switches is None
    assert (judged.run.delay.mean_frames, judged.run.delay.never) == (0, 0)
    at = {(row.min_score, row.iou): row.f1 for row in judged.run.at_limits}
    assert min(limit for limit, _ in at) == 0.2  # nothing was published below
    assert at[0.5, 0.5] == pytest.approx(4 / 6, rel=1e-5)
    alone = [replace(r, full=None) for r in run]
    assert summarise(alone, info(alone), labels=labels).by_labels.full is None


def test_frames_without_labels_leave_no_figure(record, info):
    run = [record(0, 'exit1', boxes_of((A, 0.9)))]
    labels = Labels('gt.txt', [FrameLabels.of(np.array([A]))], first=7)
    judged = summarise(run, info(run), labels=labels).by_labels
    assert (judged.frames, judged.first_frame, judged.run.f1) == (0, None, None)
    assert judged.run.average_precision is judged.run.delay is None


def test_unknown_joules_are_null_not_nan(records, info):
    blind = [replace(r, energy_j=math.nan, energy_source='none') for r in records]
    summary = summarise(blind, info(blind, baseline_energy_j=math.nan))
    assert summary.energy_j_per_frame is None
    assert summary.baseline_energy_j_per_frame is None
    assert summary.energy_source == 'none'
    json.loads(summary.model_dump_json(), parse_constant=pytest.fail)


def test_joules_of_different_origin_are_called_mixed(records, info):
    records[0] = replace(records[0], energy_source='measured')
    records[1] = replace(records[1], energy_j=math.nan, energy_source='none')
    summary = summarise(records, info(records))
    assert summary.energy_source == 'mixed'
    assert summary.energy_j_per_frame == pytest.approx(0.13 / 11, rel=1e-5)


def test_a_lost_frame_does_not_go_unnoticed(records, info):
    with pytest.raises(ValueError, match='13 frames received, but 12 processed and 0 dropped'):
        summarise(records, info(records, frames_received=13))


def test_no_frames_no_summary(info):
    with pytest.raises(ValueError, match='no frame was processed'):
        summarise([], info([]))


def test_mean_clock_is_weighted_by_time(record):
    first = record(0, 'full')
    uneven = replace(first, result=replace(first.result, segment_s=[0.001, 0.003, 0.006]))
    assert uneven.mean_point() == pytest.approx({'cpu': 2.5e9, 'gpu': 5e8})
    assert replace(first, points=()).mean_point() == {}


def test_the_risk_of_tracks_is_the_last_that_was_seen_and_none_where_nobody_tracks(records, info):
    assert summarise(records, info(records)).risk is None
    run = [replace(r, risk=StreamRisk(0.1, i / 100, 0.5)) for i, r in enumerate(records)]
    run[1] = replace(run[1], result=replace(run[1].result, exit='track'))
    risk = summarise(run, info(run)).risk
    assert (risk.asked, risk.seen) == (0.1, 0.11)
    assert risk.key_frames == pytest.approx(11 / 12, rel=1e-4)
    unseen = [replace(r, risk=StreamRisk(0.1)) for r in records]
    assert summarise(unseen, info(unseen)).risk.seen is None
