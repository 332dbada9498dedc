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

"""The rebuilt detector against recordings of the original graph in TensorFlow."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.fx import symbolic_trace
from torchvision.ops import box_iou

from e4_ros.vision import zoo
from e4_ros.vision.models.decoders.ssd import SsdDecoder, anchors
from e4_ros.vision.zoo.ssdlite import Ssdlite

FIXTURE = Path(__file__).parents[3] / 'fixtures' / 'detector'
ORIGINAL = np.load(FIXTURE / 'detections.npz')


def named(outputs):
    return {
        name: output.numpy() for name, output in zip(('encodings', 'logits'), outputs, strict=True)
    }


@pytest.fixture(scope='module')
def model():
    return zoo.load_model('pedestrian_ssdlite')


@pytest.fixture(scope='module')
def answers(model):
    """Of every recorded frame: ours, and the original's scores and boxes."""
    found = {}
    for key in ORIGINAL.files:
        frame = cv2.cvtColor(cv2.imread(str(FIXTURE / f'{key}.webp')), cv2.COLOR_BGR2RGB)
        with torch.inference_mode():
            outputs = model.network.module(torch.from_numpy(model.preprocess(frame)))
        ours = model.decode(named(outputs), frame.shape, 0.01)
        rows = ORIGINAL[key]
        found[key] = ours, rows[:, 0], rows[:, [2, 1, 4, 3]] * 300
    return found


def test_the_recording_is_of_both_videos_and_not_empty():
    videos = [key.rpartition('_')[0] for key in ORIGINAL.files]
    assert videos.count('bikes') >= 20
    assert videos.count('vtest') >= 20
    assert sum((ORIGINAL[key][:, 0] > 0.3).sum() for key in ORIGINAL.files) > 100


def test_matched_boxes_overlap_and_scores_agree(answers):
    overlaps, differences = [], []
    for ours, scores, boxes in answers.values():
        sure = scores > 0.3
        if not sure.any():
            continue
        overlap, match = box_iou(torch.from_numpy(boxes[sure]), torch.from_numpy(ours.boxes)).max(1)
        overlaps += overlap.tolist()
        differences += np.abs(ours.scores[match.numpy()] - scores[sure]).tolist()
    assert len(overlaps) > 100
    assert np.mean(overlaps) >= 0.98
    assert min(overlaps) >= 0.95
    assert max(differences) <= 0.02


def test_nothing_above_one_half_is_missing_or_extra(answers):
    for key, (ours, scores, _) in answers.items():
        assert len(ours.above(0.5)) == (scores >= 0.5).sum(), key


def test_boxes_are_in_pixels_of_the_source(model):
    key = max(ORIGINAL.files, key=lambda k: (ORIGINAL[k][:, 0] > 0.5).sum())
    frame = cv2.cvtColor(cv2.imread(str(FIXTURE / f'{key}.webp')), cv2.COLOR_BGR2RGB)
    with torch.inference_mode():
        outputs = model.network.module(torch.from_numpy(model.preprocess(frame)))
    arrays = named(outputs)
    square = model.decode(arrays, (300, 300), 0.5)
    wide = model.decode(arrays, (600, 1200, 3), 0.5)
    np.testing.assert_allclose(wide.boxes, square.boxes * [4, 2, 4, 2], rtol=1e-5)


def test_no_detections_is_an_empty_answer(model):
    quiet = named([torch.zeros(1, 1917, 4), torch.full((1, 1917, 1), -20.0)])
    assert len(model.decode(quiet, (480, 640, 3), 0.2)) == 0


def test_a_threshold_outside_zero_and_one_is_refused(model):
    outputs = named([torch.zeros(1, 1917, 4), torch.zeros(1, 1917, 1)])
    for bad in (0.0, 1.0, -1, float('nan')):
        with pytest.raises(ValueError, match='between 0 and 1'):
            model.decode(outputs, (480, 640, 3), bad)


@pytest.mark.parametrize('bad', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_rgb_image_is_refused(model, bad):
    with pytest.raises(ValueError, match='RGB image'):
        model.preprocess(bad)


def test_an_image_without_pixels_is_refused(model):
    with pytest.raises(ValueError, match='RGB image'):
        model.preprocess(np.zeros((0, 640, 3), np.uint8))


@pytest.mark.parametrize('size', [(300, 300), (224, 224), (192, 256), (321, 199)])
def test_anchors_fit_the_network_at_any_size(size):
    network = Ssdlite(size).eval()
    with torch.inference_mode():
        encodings, logits = network(torch.zeros(2, 3, *size))
    assert encodings.shape == (2, len(anchors(size, SsdDecoder())), 4)
    assert logits.shape == (2, len(anchors(size, SsdDecoder())), 1)


def test_a_smaller_input_still_finds_most_of_the_people(answers):
    """Boxes have the right place and size only if anchors and padding fit the smaller input."""
    smaller = zoo.load_model('pedestrian_ssdlite', input_size=(268, 268))
    found = total = 0
    for key, (full, _, _) in list(answers.items())[::3]:
        people = full.above(0.8)
        frame = cv2.cvtColor(cv2.imread(str(FIXTURE / f'{key}.webp')), cv2.COLOR_BGR2RGB)
        with torch.inference_mode():
            outputs = smaller.network.module(torch.from_numpy(smaller.preprocess(frame)))
        ours = smaller.decode(named(outputs), frame.shape, 0.2)
        overlap = box_iou(torch.from_numpy(people.boxes), torch.from_numpy(ours.boxes))
        found += int((overlap > 0.5).any(1).sum())
        total += len(people)
    assert total >= 15
    assert found / total > 0.8


def test_torch_fx_sees_the_same_network(model):
    x = torch.rand(1, 3, 300, 300) * 2 - 1
    with torch.inference_mode():
        whole, traced = model.network.module(x), symbolic_trace(model.network.module)(x)
        chained = model.network.module.tail(model.network.module.features(x))
    for index in range(2):
        assert torch.equal(whole[index], traced[index])
        assert torch.equal(whole[index], chained[index])
