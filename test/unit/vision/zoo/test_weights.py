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

"""Checkpoints as training scripts save them, and what is refused."""

import argparse

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from e4_ros.vision.model import ModelError
from e4_ros.vision.zoo.weights import fill, read_weights


def network(classes=3):
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, classes))


def prefixed(prefix, state):
    return {f'{prefix}{name}': tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    'wrap',
    [
        lambda state: state,
        lambda state: {'model': state, 'epoch': 7, 'args': argparse.Namespace(lr=0.1)},
        lambda state: {'state_dict': state, 'optimizer': {'param_groups': []}},
        lambda state: {'model_state_dict': state},
        lambda state: {'state_dict': prefixed('module.', state)},
        lambda state: prefixed('module._orig_mod.', state),
        lambda state: {'state_dict': prefixed('model.', state), 'hyper_parameters': {}},
        lambda state: {k: v for k, v in state.items() if not k.endswith('num_batches_tracked')},
    ],
)
def test_weights_are_found_wherever_training_put_them(tmp_path, wrap):
    trained, mine = network(), network()
    torch.save(wrap(trained.state_dict()), tmp_path / 'best.pth')
    fill(mine, read_weights(tmp_path / 'best.pth'), 'best.pth', 3)
    assert torch.equal(mine[3].weight, trained[3].weight)


def test_weights_are_read_from_safetensors(tmp_path):
    trained, mine = network(), network()
    save_file(prefixed('module.', trained.state_dict()), tmp_path / 'best.safetensors')
    fill(mine, read_weights(tmp_path / 'best.safetensors'), 'best.safetensors', 3)
    assert torch.equal(mine[3].weight, trained[3].weight)


@pytest.mark.parametrize('wrap', [lambda model: model, lambda model: {'model': model, 'epoch': 1}])
def test_a_whole_module_is_refused_with_what_to_save(tmp_path, wrap):
    torch.save(wrap(network()), tmp_path / 'whole.pt')
    with pytest.raises(ModelError, match=r'whole pickled module.*torch\.save\(model\.state_dict\('):
        read_weights(tmp_path / 'whole.pt')


@pytest.mark.parametrize('content', [{}, {'epoch': 3, 'state': {}}, {'model': {}}, [1, 2], 'text'])
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / 'other.pth')
    with pytest.raises(ModelError, match='holds no state dict'):
        read_weights(tmp_path / 'other.pth')


def test_another_number_of_classes_is_said_with_both_numbers():
    with pytest.raises(ModelError, match=r'best\.pth tells 5 classes apart, but there are 3 names'):
        fill(network(3), network(5).state_dict(), 'best.pth', 3)


def test_weights_that_differ_otherwise_are_not_taken_for_other_classes():
    state = network().state_dict() | {'0.weight': torch.zeros(8, 3, 1, 1)}
    with pytest.raises(ModelError, match=r'best\.pth does not fit Sequential'):
        fill(network(), state, 'best.pth', 3)
