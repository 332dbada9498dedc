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

"""The engine on a stream against the torch network that was trained, and its answers in time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from e4_ros.vision.clips.build import clip_network
from e4_ros.vision.clips.gates import make_gate, run_gate
from e4_ros.vision.clips.motion import motion_map
from e4_ros.vision.clips.net import ClipNet, NetSettings
from e4_ros.vision.inference.clip_engine import ClipEngine
from e4_ros.vision.inference.clip_window import WindowSchedule
from e4_ros.vision.inference.exit_thresholds import ExitThresholds
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime

_STAMPS = 100 + (np.arange(4) + 0.5) / 4  # the sample times of a window of a second


@pytest.fixture(scope='session')
def make(backbone, clip_model):
    network = clip_network(backbone, clip_model, 1.0)

    def engine(thresholds=None, stride_s=1.0, window_s=1.0, samples=4) -> ClipEngine:
        gates = ExitThresholds(thresholds or {})
        schedule = WindowSchedule(window_s, stride_s, samples)
        return ClipEngine(network, gates, OnnxRuntime(1), schedule)

    return engine


def _play(engine: ClipEngine, frames, stamps=_STAMPS):
    engine.reset()
    engine.process(frames[0], float(np.floor(stamps[0])))  # the window begins
    return [engine.process(f, float(s)) for f, s in zip(frames, stamps, strict=True)]


@pytest.fixture(scope='session')
def truth(backbone, clip_model, frames):
    """Class probabilities and gate scores by the torch modules, one frame at a time."""
    images = [torch.from_numpy(backbone.model.preprocess(f)) for f in frames]
    with torch.no_grad():
        early, deep = zip(*(backbone.program().module(image) for image in images), strict=True)
        motion = [motion_map(a, b) for a, b in zip(early[1:], early, strict=False)]
        motion = torch.stack([torch.zeros_like(motion[0]), *motion], 1)
        logits, states = clip_model.net(torch.stack(deep, 1), motion)
        gate = run_gate(clip_model.gate, logits, states).sigmoid()
    return logits.softmax(2)[0].numpy(), gate[0].numpy(), [float(s.diversity) for s in states]


@pytest.mark.parametrize(
    'switches', [{}, {'attend': False}, {'memory': False}, {'frames': 2}], ids=str
)
def test_a_step_is_what_the_network_computes(switches, backbone):
    from e4_ros.vision.clips.step import OUTPUTS, ClipStep
    from e4_ros.vision.networks.torch_export import ModuleProgram

    torch.manual_seed(2)
    settings = NetSettings(backbone.deep_size, 3, **{'frames': 4, **switches})
    net, gate = ClipNet(settings).eval(), make_gate(settings).eval()
    step = ClipStep(net, gate)
    shapes = step.inputs(backbone.early)
    runtime = OnnxRuntime(1)
    buffers = {name: runtime.buffer(shape) for name, shape in shapes.items()}
    compiled = runtime.compile(ModuleProgram('step', step, shapes, OUTPUTS), buffers)
    maps = torch.randn(settings.frames, *backbone.early)
    deep = torch.randn(settings.frames, backbone.deep_size)
    motion = motion_map(maps, maps.roll(1, 0))
    motion[0] = 0
    with torch.no_grad():
        logits, states = net(deep[None], motion[None])
        scores = run_gate(gate, logits, states).sigmoid()[0]
    for t in range(settings.frames):
        buffers['seen'].write(np.array(t))
        buffers['early'].write(maps[t : t + 1].numpy())
        buffers['appearance'].write(deep[t : t + 1].numpy())
        compiled.run()
        out = {name: buffer.read().copy() for name, buffer in compiled.outputs.items()}
        np.testing.assert_allclose(out['logits'][0], logits[0, t], atol=1e-4)
        assert out['gate'][0, 0] == pytest.approx(float(scores[t]), abs=1e-4)
        assert out['diversity'][0, 0] == pytest.approx(float(states[t].diversity), abs=1e-4)
        for name in ('logits', 'gathered', 'tokens', 'memory'):
            buffers[f'{name}_before'].write(out[name])
        buffers['early_before'].write(maps[t : t + 1].numpy())


def test_a_window_is_answered_as_in_training(make, frames, truth):
    probabilities, gate, diversity = truth
    results = _play(make({f'frame{n}': 1.1 for n in (1, 2, 3)}), frames)
    assert [r.exit for r in results] == ['looking'] * 3 + ['full']
    for n, result in enumerate(results[:3], 1):
        assert result.gate_scores == pytest.approx({f'frame{n}': gate[n - 1]}, abs=1e-4)
    assert [r.diversity for r in results] == pytest.approx(diversity, abs=1e-4)
    found = results[-1].detections
    assert found.labels.tolist() == [probabilities[-1].argmax()]
    assert found.scores[0] == pytest.approx(probabilities[-1].max(), abs=1e-4)
    assert found.boxes.tolist() == [[0, 0, 240, 240]]


@pytest.mark.parametrize('stop', [1, 2, 3])
def test_the_gate_stops_a_window_where_it_would_have_in_training(make, frames, truth, stop):
    probabilities, gate, _ = truth
    engine = make({f'frame{stop}': float(gate[stop - 1]) - 1e-4})
    results = _play(engine, frames)
    assert [r.exit for r in results] == ['looking'] * (stop - 1) + [f'frame{stop}'] + ['held'] * (
        4 - stop
    )
    answers = [r.detections for r in results]
    assert [len(a) for a in answers] == [0] * (stop - 1) + [1] * (5 - stop)
    assert answers[-1].scores[0] == pytest.approx(probabilities[stop - 1].max(), abs=1e-4)
    assert [len(r.segment_s) for r in results] == [len(engine.paths[r.exit]) for r in results]


def test_an_answer_holds_until_the_next_one_and_no_longer_than_a_window(make, frames):
    engine = make(window_s=1.0, stride_s=3.0)
    stamps = np.arange(0, 8.6, 0.25)
    results = [engine.process(frames[i % 4], float(s)) for i, s in enumerate(stamps)]
    answered = [s for s, r in zip(stamps, results, strict=True) if r.exit == 'full']
    assert answered == [1.0, 4.0, 7.0]
    there = [bool(len(r.detections)) for r in results]
    assert there == [s >= 1.0 for s in stamps], 'held through the pauses'
    late = engine.process(frames[0], 9.5)
    assert len(late.detections) == 1
    engine._schedule.windows.clear()  # as if no window came to an answer
    assert len(engine.process(frames[0], 10.1).detections) == 0


@pytest.mark.parametrize('stamp_s', [99.0, 103.0])
def test_a_new_stream_has_no_answer_yet(make, frames, stamp_s):
    engine = make()
    assert len(_play(engine, frames)[-1].detections) == 1
    result = engine.process(frames[0], stamp_s)
    assert (result.exit, len(result.detections)) == ('held', 0)


def test_overlapping_windows_share_the_backbone_and_not_the_state(make, frames, truth):
    engine = make(stride_s=0.5)
    stamps = 100 + np.arange(13) / 8
    results = {s: engine.process(frames[i // 2 % 4], s) for i, s in enumerate(map(float, stamps))}
    assert [s for s, r in results.items() if r.exit == 'full'] == [100.875, 101.375]


def test_one_frame_or_one_full_look_is_a_valid_answer(make, frames):
    engine = make()
    alone = engine.process(frames[0], 0.0)
    assert (alone.exit, len(alone.detections), alone.gate_scores) == ('held', 0, {})
    full = engine.process_full(frames[0])
    assert (full.exit, len(full.detections), len(full.segment_s)) == ('full', 1, 3)
    assert len(engine.process(frames[0], 0.01).detections) == 0, 'it is no answer of the stream'


def test_what_is_no_frame_or_time_is_refused(make, frames):
    engine = make()
    with pytest.raises(ValueError, match='RGB image'):
        engine.process(frames[0][..., :2], 0.0)
    with pytest.raises(ValueError, match='finite time stamp'):
        engine.process(frames[0], float('nan'))


def test_segments_say_what_a_frame_costs(make, backbone):
    window, look, step = make().segments
    assert (window.macs, window.layers) == (0, 0)
    assert look.macs == backbone.macs > 0
    assert 0 < step.macs < look.macs
