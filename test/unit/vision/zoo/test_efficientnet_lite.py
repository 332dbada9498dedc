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

"""The rebuilt classifier against recordings of the original package's network."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.fx import symbolic_trace

from e4_ros.vision import zoo
from e4_ros.vision.model import ModelError, VisionModel
from e4_ros.vision.models.preprocessing import CentreCrop
from e4_ros.vision.zoo.efficientnet_lite import efficientnet_lite0, from_package

FIXTURES = Path(__file__).parents[3] / 'fixtures'
ORIGINAL = np.load(FIXTURES / 'classifier' / 'logits.npz')


@pytest.fixture(scope='module')
def model():
    return zoo.load_model('efficientnet_lite0')


def recorded_input(name):
    image = cv2.imread(str(FIXTURES / 'detector' / f'{name}.webp'))[:224, :224, ::-1]
    return (image.transpose(2, 0, 1)[None].astype(np.float32) - 127) / 128


@pytest.mark.parametrize('name', ORIGINAL.files)
def test_logits_equal_the_originals(model, name):
    with torch.inference_mode():
        logits = model.network.module(torch.from_numpy(recorded_input(name))).numpy()[0]
    np.testing.assert_allclose(logits, ORIGINAL[name], atol=1e-4)


def test_preparation_of_a_frame_of_the_networks_size_is_the_originals():
    exact = CentreCrop(size=(224, 224), shorter_side=224, mean=(127, 127, 127), std=(128, 128, 128))
    name = ORIGINAL.files[0]
    frame = cv2.imread(str(FIXTURES / 'detector' / f'{name}.webp'))[:224, :224, ::-1]
    np.testing.assert_array_equal(exact(frame), recorded_input(name))


def test_the_centre_is_cut_out_and_shrunk(model):
    frame = np.zeros((512, 1024, 3), np.uint8)
    frame[32:480, 288:736] = 255  # the centre 448×448: 87.5 % of the short side
    x = model.preprocess(frame)
    assert x.shape == (1, 3, 224, 224)
    assert x.dtype == np.float32
    assert x.min() == x.max() == 1.0


@pytest.mark.parametrize('size', [(1, 1), (3, 4000), (4000, 3), (100, 120)])
def test_any_size_of_frame_is_prepared(model, size):
    assert model.preprocess(np.zeros((*size, 3), np.uint8)).shape == (1, 3, 224, 224)


def test_decode_names_the_likeliest_class(model):
    logits = np.zeros((1, 1000), np.float32)
    logits[0, 207] = 20
    detections = model.decode({'logits': logits}, (480, 640, 3), 0.5)
    assert model.class_names[detections.labels[0]] == 'golden retriever'
    assert detections.scores[0] == pytest.approx(1, abs=1e-4)
    assert detections.boxes.tolist() == [[0, 0, 640, 480]]


def test_an_unsure_answer_is_empty(model):
    flat = np.zeros((1, 1000), np.float32)
    assert len(model.decode({'logits': flat}, (480, 640, 3), 0.2)) == 0
    assert len(model.decode({'logits': flat}, (480, 640, 3), 0.0)) == 1


def test_torch_fx_sees_the_same_network(model):
    x = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(model.network.module(x), symbolic_trace(model.network.module)(x))


def test_it_is_a_vision_model(model):
    assert isinstance(model, VisionModel)
    assert not any(module.training for module in model.network.module.modules())


def test_a_weights_package_of_another_network_is_refused():
    with pytest.raises(ModelError, match='2 tensors'):
        from_package({'a': torch.zeros(1), 'b': torch.zeros(1)}, efficientnet_lite0())
