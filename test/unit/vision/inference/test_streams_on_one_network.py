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

"""Several streams on one loaded network answer exactly as streams with a network each."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from e4_ros.evaluation.sources import open_source
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.inference.exit_thresholds import ExitThresholds
from e4_ros.vision.runtime.load_once import LoadOnce
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime


@pytest.fixture(scope='module')
def streets():
    """Two streams of other lengths, places and sizes, with people on them."""
    frames = [frame for _, frame in islice(open_source('bikes'), 100, 148)]
    return frames[:24], [np.ascontiguousarray(frame[:, ::-1][:240]) for frame in frames[24:]]


def answers(engine, frames, fps):
    return [engine.process(frame, i / fps) for i, frame in enumerate(frames)]


def same(found, wanted):
    assert [f.exit for f in found] == [w.exit for w in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.detections.boxes, other.detections.boxes)
        np.testing.assert_array_equal(one.detections.scores, other.detections.scores)
        np.testing.assert_array_equal(one.detections.ids, other.detections.ids)
        assert one.gate_scores == other.gate_scores
        assert one.diversity == other.diversity


def together(options, streets):
    """Both streams on one network, their frames in uneven turns."""
    front, rear = set_up(EngineOptions(**options, streams=2)).engines
    frames = [[(i / 10, frame) for i, frame in enumerate(streets[0])]]
    frames.append([(i / 7, frame) for i, frame in enumerate(streets[1])])
    found = [[], []]
    turns = [(stamp_s, place, frame) for place in (0, 1) for stamp_s, frame in frames[place]]
    for stamp_s, place, frame in sorted(turns, key=lambda turn: turn[:2]):
        found[place].append((front, rear)[place].process(frame, stamp_s))
    return found


def apart(options, streets):
    return [
        answers(set_up(EngineOptions(**options)).engine, frames, fps)
        for frames, fps in zip(streets, (10, 7), strict=True)
    ]


@pytest.mark.parametrize(('quality', 'early'), [('fast', 'track'), ('best', 'closer')])
def test_tracks_and_closer_looks_are_each_streams_own(streets, quality, early):
    options = {'threads': 1, 'quality': quality}
    wanted = apart(options, streets)
    for found, alone in zip(together(options, streets), wanted, strict=True):
        same(found, alone)
    assert {early, 'full'} <= {f.exit for stream in wanted for f in stream}


@pytest.mark.parametrize('tracks', [True, False])
def test_the_memory_of_learnt_exits_is_each_streams_own(exits_bundle, streets, tracks):
    options = {'model': str(exits_bundle), 'threads': 1, 'tracks': tracks, 'audit_share': 0.0}
    wanted = apart(options, streets)
    for found, alone in zip(together(options, streets), wanted, strict=True):
        same(found, alone)
    assert 'temporal' in {name for stream in wanted for f in stream for name in f.gate_scores}


def test_thresholds_of_one_stream_are_not_the_others(exits_bundle):
    options = EngineOptions(str(exits_bundle), threads=1, tracks=False, streams=2)
    front, rear = set_up(options).engines
    front.thresholds = ExitThresholds()
    assert list(front.paths) == ['full']
    assert 'exit1' in rear.paths


def test_each_program_is_loaded_once(exits_bundle):
    from e4_ros.vision.bundle import load_bundle
    from e4_ros.vision.inference.factory import make_ladder

    opened = []

    def open_session(*args, **kwargs):
        import onnxruntime as ort

        opened.append(args[0])
        return ort.InferenceSession(*args, **kwargs)

    runtime = LoadOnce(OnnxRuntime(1, open_session=open_session))
    network = load_bundle(exits_bundle).network
    make_ladder(network, runtime)
    first = len(opened)
    assert first == len(network.stages) + len(network.exits) + 1
    make_ladder(network, runtime)
    assert len(opened) == first


def test_what_was_loaded_does_not_keep_the_bytes_that_it_came_from(exits_bundle):
    import gc
    import weakref

    from e4_ros.vision.bundle import load_bundle
    from e4_ros.vision.inference.factory import make_ladder

    runtime = LoadOnce(OnnxRuntime(1))
    network = load_bundle(exits_bundle).network
    ladder = make_ladder(network, runtime)
    programs = [weakref.ref(part.program) for part in network.stages]
    del network
    gc.collect()
    assert not any(program() for program in programs)
    ladder.process(np.zeros((100, 100, 3), np.uint8), 0.0)


def test_what_audits_of_one_stream_switch_off_is_kept_beside_what_the_others_do(
    monkeypatch, tmp_path
):
    from e4_ros.vision.inference import audit_record

    monkeypatch.setattr(audit_record, 'cache_dir', lambda: tmp_path)
    front, rear = audit_record.AuditRecord('key'), audit_record.AuditRecord('key')
    front.write({'exit1': 'it was wrong in front'})
    rear.write({'temporal': 'it was wrong behind'})
    both = {'exit1': 'it was wrong in front', 'temporal': 'it was wrong behind'}
    assert front.read() == both
