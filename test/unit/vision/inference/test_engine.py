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

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from e4_ros.evaluation.sources import open_source
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.audit import Auditor
from e4_ros.vision.inference.exit_economics import ExitCost, ExitEconomics
from e4_ros.vision.inference.exit_thresholds import ExitThresholds
from e4_ros.vision.inference.factory import make_engine
from e4_ros.vision.inference.teacher_look import TeacherLook
from e4_ros.vision.runtime.factory import make_runtime


@pytest.fixture(scope='module')
def frames():
    return [frame for _, frame in islice(open_source('bikes'), 24)]


@pytest.fixture(scope='module')
def shared(exits_bundle):
    return set_up(EngineOptions(str(exits_bundle), threads=1, tracks=False)).early_exits


@pytest.fixture
def engine(shared):
    """The detector with untrained exits, a fresh stream and its own thresholds."""
    shared.reset()
    thresholds, shared.auditor = shared.thresholds, Auditor()
    yield shared
    shared.thresholds, shared.economics = thresholds, None


def feed(engine, frames, start_s=0.0, fps=25.0):
    return [engine.process(frame, start_s + i / fps) for i, frame in enumerate(frames)]


def test_first_frame_of_a_stream_is_never_temporal(engine, frames):
    engine.thresholds = ExitThresholds({'temporal': 1e-6})
    assert engine.process(frames[0], 0.0).exit == 'full'


def test_still_image_is_answered_from_memory(engine, frames):
    results = feed(engine, [frames[0]] * 3)
    assert [r.exit for r in results][1:] == ['temporal', 'temporal']
    assert results[1].diversity < 0.1 < results[0].diversity


def test_every_exit_gives_its_own_path(engine, frames):
    for name in engine.paths:
        engine.reset()
        engine.process(frames[0], 0.0)
        engine.thresholds = ExitThresholds({name: 0.0} if name != 'full' else {})
        begun = []
        result = engine.process(frames[0], 0.04, begun.append)
        assert result.exit == name
        assert begun == list(range(len(result.segment_s)))
        assert result.latency_s == pytest.approx(sum(result.segment_s))


def test_segments_say_how_much_the_host_makes_and_reads(engine):
    prepare, stage0, last = engine.segments
    assert (prepare.host_task, prepare.host_values) == ('prepare', 3 * 300 * 300)
    head = engine._steps[0].exit.answered
    assert (stage0.host_task, stage0.host_values) == ('decode', sum(b.read().size for b in head))
    assert len(head) == 2  # centres and sides
    outputs = engine._steps[1].stage.outputs.values()
    assert (last.host_task, last.host_values) == ('decode', sum(b.read().size for b in outputs))


def test_paths_name_the_segments_of_the_engine(engine):
    assert list(engine.paths) == ['temporal', 'exit1', 'full']
    assert engine.paths['full'] == list(range(len(engine.segments)))
    assert len({segment.name for segment in engine.segments}) == len(engine.segments)
    assert sum(segment.macs for segment in engine.segments) > 600e6


def test_a_detector_without_learnt_exits_has_the_whole_network_alone(frames):
    """Without tracks; thresholds for exits that it does not have change nothing."""
    engine = set_up(EngineOptions(threads=1, tracks=False)).early_exits
    assert engine.paths == {'full': [0, 1]}
    assert engine.check_pay(frames[0]).costs == {}
    engine.thresholds = ExitThresholds({'temporal': 0.0, 'exit1': 0.0})
    assert [(r.exit, r.gate_scores) for r in feed(engine, [frames[0]] * 3)] == [('full', {})] * 3


def test_an_exit_without_a_temporal_one_before_it_answers(exits_bundle, frames):
    network = replace(load_bundle(exits_bundle).network, temporal=None)
    engine = make_engine(network, make_runtime('onnxruntime', 1))
    assert list(engine.paths) == ['exit1', 'full']
    assert list(engine.check_pay(frames[0]).costs) == ['exit1']
    engine.economics, engine.thresholds = None, ExitThresholds({'exit1': 0.0})
    assert [r.exit for r in feed(engine, frames[:2])] == ['exit1'] * 2


def test_without_exits_it_is_the_network_itself(frames, engine):
    full = set_up(EngineOptions('pedestrian_ssdlite', exits=False, threads=1)).early_exits
    assert full.paths == {'full': [0, 1]}
    result = full.process(frames[0], 0.0)
    assert (result.exit, result.gate_scores) == ('full', {})
    alone = engine.process_full(frames[0]).detections
    np.testing.assert_allclose(result.detections.boxes, alone.boxes, atol=1e-2)


def test_process_full_leaves_the_stream_alone(engine, frames):
    feed(engine, [frames[0]] * 2)
    engine.process_full(frames[20])
    assert engine.process(frames[0], 0.2).exit == 'temporal'


def test_time_going_backwards_starts_a_new_stream(engine, frames):
    feed(engine, [frames[0]] * 3, start_s=100.0)
    assert engine.process(frames[0], 0.0).exit != 'temporal'
    assert engine.process(frames[0], 0.04).exit == 'temporal'


def test_other_frame_size_starts_a_new_stream(engine, frames):
    feed(engine, [frames[0]] * 3)
    smaller = np.ascontiguousarray(frames[0][::2, ::2])
    result = engine.process(smaller, 0.2)
    assert result.exit != 'temporal'
    assert (result.detections.boxes <= max(smaller.shape)).all()


@pytest.mark.parametrize(
    'frame',
    [
        np.zeros((0, 10, 3), np.uint8),
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
    ],
)
def test_what_is_no_image_is_refused_and_the_stream_goes_on(engine, frames, frame):
    feed(engine, [frames[0]] * 2)
    with pytest.raises(ValueError, match='RGB image'):
        engine.process(frame, 0.1)
    assert engine.process(frames[0], 0.12).exit == 'temporal'


@pytest.mark.parametrize('stamp_s', [float('nan'), float('inf')])
def test_time_that_is_no_number_is_refused(engine, frames, stamp_s):
    with pytest.raises(ValueError, match='finite'):
        engine.process(frames[0], stamp_s)


@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 4000, 3), (3000, 3, 3)])
def test_odd_image_sizes_are_answered(engine, shape):
    frame = np.full(shape, 127, np.uint8)
    assert all(len(r.detections) == 0 for r in feed(engine, [frame] * 2))


def test_classifier_without_exits_has_temporal_and_full(frames):
    engine = set_up(EngineOptions('efficientnet_lite0', threads=1)).early_exits
    assert list(engine.paths) == ['temporal', 'full']
    first, second = feed(engine, [frames[0]] * 2)
    assert (first.exit, second.exit) == ('full', 'temporal')
    assert first.detections.labels[:1] == second.detections.labels[:1]


def test_runtimes_give_the_same_answers(engine, exits_bundle, frames):
    options = EngineOptions(str(exits_bundle), runtime='torch', tracks=False)
    reference = set_up(options).early_exits
    ours, theirs = feed(engine, frames[:3]), feed(reference, frames[:3])
    for a, b in zip(ours, theirs, strict=True):
        assert a.exit == b.exit
        np.testing.assert_allclose(a.detections.boxes, b.detections.boxes, atol=0.5)


def elsewhere(detections):
    """An answer that has nothing in common with the given one."""
    return Detections.of(np.array([[0, 0, 3, 3]]), np.array([0.99]))


def with_audits(engine, frames, monkeypatch, **settings):
    """The engine, asking only its temporal exit, whose every answer is wrong."""
    engine.thresholds = ExitThresholds({'temporal': 0.0})
    engine.process(frames[0], 0.0)
    monkeypatch.setattr(engine, 'auditor', Auditor(**settings))
    honest = engine.temporal.detections
    monkeypatch.setattr(engine.temporal, 'detections', lambda score: elsewhere(honest(score)))
    return engine


def test_audits_switch_a_broken_exit_off_and_its_frames_go_deeper(engine, frames, monkeypatch):
    engine = with_audits(engine, frames, monkeypatch)
    verdicts = []
    for index in range(1, 200):
        result = engine.process(frames[0], index / 25)
        audit = engine.audit(frames[0], result)
        if audit is not None and audit.loss is not None:
            verdicts.append(audit.loss)
            if audit.switched_off:
                break
    assert audit.switched_off == engine.off['temporal']
    assert verdicts[-1] > 0.3
    assert audit.passed.exit == 'full'
    after = engine.process(frames[0], 9.0)
    assert after.exit == 'full'
    assert engine.audit(frames[0], after) is None


def audited(engine, frame, first_s, count):
    """Audits of a still stream, one for each pass."""
    found = []
    for index in range(count):
        result = engine.process(frame, first_s + index / 25)
        found.append(engine.audit(frame, result))
    return found


def test_an_audit_takes_one_pass_after_each_answer_until_the_look_is_done(engine, frames):
    engine.thresholds = ExitThresholds({'temporal': 0.0})
    engine.process(frames[0], 0.0)
    engine.auditor = Auditor()
    passes = len(TeacherLook(frames[0]))
    found = audited(engine, frames[0], 0.04, passes)
    assert [audit.loss is None for audit in found] == [True] * (passes - 1) + [False]
    assert all(audit.exit == 'temporal' for audit in found)
    assert found[-1].loss < 0.2  # the frame is the one that it remembers


@pytest.mark.parametrize('how', ['reset', 'size', 'time'])
def test_an_audit_whose_stream_ends_is_dropped_without_verdict(engine, frames, how):
    engine.thresholds = ExitThresholds({'temporal': 0.0})
    engine.process(frames[0], 0.0)
    engine.auditor = Auditor(share=0.01)
    assert audited(engine, frames[0], 0.04, 2)[-1].loss is None
    if how == 'reset':
        engine.reset()
    frame = frames[0][:-2] if how == 'size' else frames[0]
    found = audited(engine, frame, 0.01 if how == 'time' else 1.0, 30)
    assert found == [None] * 30  # what it cost is not paid off yet


def test_exit_that_is_off_is_not_even_asked(engine, frames, monkeypatch):
    engine = with_audits(engine, frames, monkeypatch)
    engine.auditor.off = {'temporal': 'by hand'}
    assert engine.process(frames[0], 0.1).gate_scores == {}


def test_audit_leaves_the_stream_alone(engine, frames):
    engine.thresholds = ExitThresholds({'temporal': 0.0})
    results = []
    for share in (0.0, 1.0):
        engine.reset()
        engine.auditor = Auditor(share=share)
        results.append(feed(engine, frames[:1]))
        for index, frame in enumerate(frames[1:6]):
            results[-1].append(engine.process(frame, 0.04 * (index + 1)))
            engine.audit(frame, results[-1][-1])
    for a, b in zip(*results, strict=True):
        assert a.exit == b.exit
        np.testing.assert_array_equal(a.detections.boxes, b.detections.boxes)


def test_exits_are_measured_on_this_machine(engine, frames):
    costs = engine.check_pay(frames[0]).costs
    assert list(costs) == ['temporal', 'exit1']
    assert costs['temporal'].saved_s > costs['exit1'].saved_s > 0
    assert all(cost.asked_s > 0 for cost in costs.values())


def test_exits_that_answer_too_rarely_rest(engine, frames):
    engine.thresholds = ExitThresholds({'temporal': 1.01, 'exit1': 1.01})
    engine.economics = ExitEconomics({'temporal': ExitCost(1.0, 9.0), 'exit1': ExitCost(1.0, 4.0)})
    results = [engine.process(frames[i % 24], i / 25) for i in range(40)]
    asked = [bool(result.gate_scores) for result in results]
    assert asked == [True] * 19 + [False] * 21  # until twice 9 s are lost


def test_exits_at_rest_leave_the_whole_network(engine, frames):
    engine.economics = ExitEconomics({'temporal': ExitCost(1.0, 0.5)}, {'temporal': 0.1})
    result = engine.process(frames[0], 0.0)
    assert (result.exit, result.gate_scores) == ('full', {})
    assert len(result.detections) == len(engine.process_full(frames[0]).detections)


def test_memory_from_before_a_rest_is_not_answered_from(engine, frames):
    engine.thresholds = ExitThresholds({'temporal': 1e-6})
    feed(engine, [frames[0]] * 3)
    engine.economics = ExitEconomics({'temporal': ExitCost(1.0, 0.5)}, {'temporal': 0.1})
    engine.process(frames[0], 0.2)
    engine.economics = None
    assert engine.process(frames[0], 0.24).exit == 'full'
    assert engine.process(frames[0], 0.28).exit == 'temporal'


def test_a_frame_ends_at_the_deepest_exit_that_it_has_time_for(engine, frames):
    engine.thresholds = ExitThresholds({'exit1': 1.0})  # which the gate reaches never
    try:
        engine.deepest = 'exit1'
        result = engine.process(frames[0], 0.0)
        assert result.exit == 'exit1'
        assert result.gate_scores['exit1'] < 1
        engine.auditor.off['exit1'] = 'it was wrong too often'
        assert engine.process(frames[1], 0.04).exit == 'full', 'what is off limits nothing'
        engine.deepest = 'full'
        assert engine.process(frames[2], 0.08).exit == 'full'
    finally:
        engine.deepest = 'full'


def test_the_temporal_exit_holds_a_frame_only_where_it_has_something(engine, frames):
    engine.thresholds = ExitThresholds({'temporal': 1.0})
    try:
        engine.deepest = 'temporal'
        assert engine.process(frames[0], 0.0).exit == 'full'
        assert engine.process(frames[12], 0.04).exit == 'temporal'
    finally:
        engine.deepest = 'full'
