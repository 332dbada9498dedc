from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from e4_ros.vision.clips.backbone import ClipBackbone
from e4_ros.vision.clips.checkpoint import ClipModel
from e4_ros.vision.clips.features import FeatureSet, FeatureStore
from e4_ros.vision.clips.gates import make_gate, run_gate
from e4_ros.vision.clips.net import ClipNet, NetSettings
from e4_ros.vision.clips.recogniser import ClipRecogniser
from e4_ros.vision.models import load_model


@pytest.fixture(scope='module')
def backbone() -> ClipBackbone:
    torch.manual_seed(0)
    return ClipBackbone(load_model('torchvision/mobilenet_v3_small', 'random'), threads=1)


@pytest.fixture(scope='module')
def frames() -> np.ndarray:
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (12, 12, 3), np.uint8).repeat(20, 0).repeat(20, 1)
    return np.stack([np.roll(texture, 16 * t, 1) for t in range(4)])


def test_one_frame_at_a_time_sees_what_all_at_once_see(backbone, frames):
    whole = backbone.see(frames)
    before, deep, motion = None, [], []
    for frame in frames:
        seen = backbone.see(frame[None], before)
        before = seen.early
        deep.append(seen.deep)
        motion.append(seen.motion)
    torch.testing.assert_close(torch.cat(deep), whole.deep, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(torch.cat(motion), whole.motion, rtol=1e-2, atol=1e-2)


def test_motion_is_seen_through_the_backbone(backbone, frames):
    """The texture goes right by 16 of 240 pixels: 1.9 of 28 cells, less what the crop enlarges."""
    x = backbone.see(frames).motion[1:, 0, 6:-6, 6:-6]
    assert x.median() > 0.5


def test_its_shape_and_cost_are_those_of_the_network(backbone):
    assert backbone.grid == (28, 28)
    assert backbone.deep_size == 576
    assert 50e6 < backbone.macs < 62e6, 'MobileNetV3-Small has 57 million'


@pytest.fixture(scope='module')
def recogniser(backbone) -> ClipRecogniser:
    torch.manual_seed(1)
    shape = NetSettings(backbone.deep_size, 3, frames=4)
    net, gate = ClipNet(shape).eval(), make_gate(shape).eval()
    return ClipRecogniser(backbone, ClipModel('', shape, net, gate, ['a', 'b', 'c'], 2.0))


def _with_threshold(recogniser: ClipRecogniser, threshold: float) -> ClipRecogniser:
    model = recogniser._model
    same = ClipModel('', model.settings, model.net, model.gate, model.class_names, threshold)
    return ClipRecogniser(recogniser._backbone, same)


def test_it_answers_as_in_training(recogniser, backbone, frames):
    seen, model = backbone.see(frames), recogniser._model
    with torch.no_grad():
        logits, states = model.net(seen.deep[None], seen.motion[None])
        scores = run_gate(model.gate, logits, states).sigmoid()[0]
    answer = recogniser.answer(frames)
    assert answer.frames_used == 4
    assert answer.label == int(logits[0, -1].argmax())
    assert answer.name == 'abc'[answer.label]
    assert answer.gate_scores == pytest.approx(scores.tolist(), abs=1e-2)


def test_it_takes_no_more_frames_than_it_needs(recogniser, frames):
    wanted = recogniser.answer(frames).gate_scores
    taken = []

    def camera():
        for frame in frames:
            taken.append(1)
            yield frame

    answer = _with_threshold(recogniser, wanted[0]).answer(camera())
    assert (answer.frames_used, len(taken)) == (1, 1)


def test_a_stream_without_end_is_answered(recogniser, frames):
    def endless():
        while True:
            yield frames[0]

    assert recogniser.answer(endless()).frames_used == 4


def test_no_frame_is_an_error(recogniser):
    with pytest.raises(ValueError, match='at least one frame'):
        recogniser.answer([])


@dataclass
class _Clip:
    key: str
    label: int
    images: np.ndarray | None
    reads: int = 0

    def frames(self, count: int) -> np.ndarray:
        self.reads += 1
        if self.images is None:
            raise ValueError(f'{self.key} is broken')
        return self.images[:count]


def test_features_are_computed_once_and_broken_clips_are_named(backbone, frames, tmp_path):
    good, broken = _Clip('good', 1, frames), _Clip('bad', 0, None)
    store = FeatureStore(tmp_path, backbone, 4)
    assert store.compute([good, broken]) == ['bad is broken']
    assert FeatureStore(tmp_path, backbone, 4).compute([good]) == []
    assert (good.reads, store.has(good), store.has(broken)) == (1, True, False)
    deep, motion, label = FeatureSet(store, [good])[0]
    seen = backbone.see(frames)
    torch.testing.assert_close(deep, seen.deep, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(motion, seen.motion, rtol=1e-2, atol=1e-2)
    assert int(label) == 1


def test_features_for_other_numbers_of_frames_are_kept_apart(backbone, frames, tmp_path):
    clip = _Clip('clip', 0, frames)
    FeatureStore(tmp_path, backbone, 4).compute([clip])
    assert not FeatureStore(tmp_path, backbone, 3).has(clip)
