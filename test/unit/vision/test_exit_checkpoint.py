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

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from e4_ros.vision.exit_checkpoint import Checkpoint, CheckpointError, Exit, load
from e4_ros.vision.nets.heads import ClassHead, GridHead
from e4_ros.vision.nets.temporal_net import TemporalNet
from e4_ros.vision.zoo import load_model


@pytest.fixture(scope='module')
def model():
    return load_model('pedestrian_ssdlite')


@pytest.fixture
def checkpoint(model):
    head = GridHead(channels=32, classes=1, width=8, depth=1).eval()
    temporal = TemporalNet(classes=1, width=8, depth=1).eval()
    return Checkpoint(
        model.name,
        model.network.fingerprint,
        [Exit('exit1', 'add_1', head)],
        temporal,
        {'exit1': 0.5},
    )


def test_what_is_saved_is_loaded(tmp_path, model, checkpoint):
    path = tmp_path / 'exits.safetensors'
    checkpoint.save(path)
    again = load(path, model)
    assert again.thresholds == {'exit1': 0.5}
    assert (again.exits[0].name, again.exits[0].cut) == ('exit1', 'add_1')
    for name, tensor in checkpoint.temporal.state_dict().items():
        assert torch.equal(again.temporal.state_dict()[name], tensor)
    features = torch.randn(1, 32, 38, 38)
    with torch.no_grad():
        for a, b in zip(
            again.exits[0].head(features), checkpoint.exits[0].head(features), strict=True
        ):
            assert torch.equal(a, b)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_other_weights_of_the_same_network_are_refused(tmp_path, model, checkpoint):
    checkpoint.network = '0' * 16
    checkpoint.save(tmp_path / 'x')
    with pytest.raises(CheckpointError, match='other weights'):
        load(tmp_path / 'x', model)


def test_another_network_is_refused(tmp_path, model, checkpoint):
    checkpoint.model = 'efficientnet_lite0'
    checkpoint.save(tmp_path / 'x')
    with pytest.raises(CheckpointError, match="'efficientnet_lite0', not 'pedestrian_ssdlite'"):
        load(tmp_path / 'x', model)


def test_head_for_another_task_is_refused(tmp_path, model, checkpoint):
    checkpoint.exits = [Exit('exit1', 'add_1', ClassHead(32, 10))]
    checkpoint.save(tmp_path / 'x')
    with pytest.raises(CheckpointError, match='classify'):
        load(tmp_path / 'x', model)


@pytest.mark.parametrize('keep', [0, 7, 100, 0.5])
def test_truncated_file_is_refused(tmp_path, model, checkpoint, keep):
    path = tmp_path / 'x'
    checkpoint.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(len(whole) * keep)])
    with pytest.raises(CheckpointError, match='cannot be read'):
        load(path, model)


def test_foreign_safetensors_is_refused(tmp_path, model):
    save_file({'weight': torch.zeros(3)}, tmp_path / 'x')
    with pytest.raises(CheckpointError, match='e4 fit'):
        load(tmp_path / 'x', model)


def test_missing_tensor_is_refused(tmp_path, model, checkpoint):
    checkpoint.save(tmp_path / 'x')
    from safetensors import safe_open

    with safe_open(tmp_path / 'x', 'pt') as file:
        metadata = file.metadata()
    save_file({'exit1.centre.bias': torch.zeros(1)}, tmp_path / 'x', metadata)
    with pytest.raises(CheckpointError, match='damaged'):
        load(tmp_path / 'x', model)


def test_missing_file_is_refused(tmp_path, model):
    with pytest.raises(CheckpointError, match='cannot be read'):
        load(tmp_path / 'none', model)


def test_numbers_survive(tmp_path, model, checkpoint):
    checkpoint.thresholds = {'exit1': float(np.float64(1) / 3)}
    checkpoint.save(tmp_path / 'x')
    assert load(tmp_path / 'x', model).thresholds == checkpoint.thresholds
