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

from e4_ros.vision.clips.backbone import ClipBackbone
from e4_ros.vision.clips.clip_model import ClipModel
from e4_ros.vision.clips.gates import CascadeGate, make_gate
from e4_ros.vision.clips.net import ClipNet, NetSettings
from e4_ros.vision.zoo import load_model


@pytest.fixture(scope='session')
def backbone() -> ClipBackbone:
    torch.manual_seed(0)
    return ClipBackbone(load_model('torchvision/mobilenet_v3_small', 'random'), threads=1)


@pytest.fixture(scope='session')
def frames() -> np.ndarray:
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (12, 12, 3), np.uint8).repeat(20, 0).repeat(20, 1)
    return np.stack([np.roll(texture, 16 * t, 1) for t in range(4)])


@pytest.fixture(scope='session')
def clip_model(backbone) -> ClipModel:
    torch.manual_seed(1)
    shape = NetSettings(backbone.deep_size, 3, frames=4)
    net, gate = ClipNet(shape).eval(), make_gate(shape).eval()
    assert isinstance(gate, CascadeGate)
    return ClipModel(net, gate, ['a', 'b', 'c'], 0.5)
