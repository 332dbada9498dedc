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

import pytest
import torch
import torchvision
from torch import nn

from e4_ros.vision.networks import StageError, nearest_cuts
from e4_ros.vision.networks.torch_graph import find_cuts, split

FAMILIES = [
    'alexnet',
    'squeezenet1_1',
    'resnet18',
    'resnext50_32x4d',
    'wide_resnet50_2',
    'densenet121',
    'googlenet',
    'inception_v3',
    'mobilenet_v2',
    'mobilenet_v3_small',
    'mnasnet0_5',
    'shufflenet_v2_x0_5',
    'efficientnet_b0',
    'efficientnet_v2_s',
    'regnet_y_400mf',
    'convnext_tiny',
    'swin_t',
    'vit_b_16',
    'vgg11',
]


def build(name: str) -> nn.Module:
    extra = {'init_weights': False} if name in {'googlenet', 'inception_v3'} else {}
    return torchvision.models.get_model(name, weights=None, **extra).eval()


def run_chain(stages, x):
    for stage in stages:
        x = stage.module(x)
    return x


class TwoBranches(nn.Module):
    """One tensor is alive after `stem` and after the sum, two in between."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.left = nn.Conv2d(4, 4, 1)
        self.right = nn.Conv2d(4, 4, 1)
        self.tail = nn.Conv2d(4, 2, 1)
        self.scale = nn.Parameter(torch.full((1,), 2.0))

    def forward(self, x):
        x = self.stem(x)
        left = self.left(x)
        x = self.right(x) + left
        x = x * self.scale
        return self.tail(x), x


@pytest.fixture
def image():
    return torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize('name', FAMILIES)
def test_chain_equals_whole_exactly(name, image):
    network = build(name)
    stages = split(network, image, nearest_cuts(find_cuts(network, image), [0.3, 0.7]))
    with torch.inference_mode():
        assert torch.equal(run_chain(stages, image), network(image))
    assert len(stages) == 3
    assert all(stage.macs >= 0 and stage.bytes_moved > 0 for stage in stages)


def test_cuts_split_the_cost_as_asked(image):
    cuts = find_cuts(build('mobilenet_v2'), image)
    shares = {cut.node: cut.cost_share for cut in cuts}
    chosen = nearest_cuts(cuts, [0.25, 0.5, 0.75])
    assert [shares[c] for c in chosen] == pytest.approx([0.25, 0.5, 0.75], abs=0.05)


def test_macs_are_those_of_the_paper(image):
    # Sandler et al., MobileNetV2, table 4: 300 M multiply-adds at 224 x 224.
    stages = split(build('mobilenet_v2'), image, [])
    assert sum(stage.macs for stage in stages) == pytest.approx(300e6, rel=0.01)


def test_only_places_with_one_live_tensor_are_offered():
    image = torch.randn(1, 3, 8, 8)
    cuts = find_cuts(TwoBranches().eval(), image)
    assert [cut.node for cut in cuts] == ['stem', 'add']


def test_last_stage_may_have_several_outputs():
    network, image = TwoBranches().eval(), torch.randn(1, 3, 8, 8)
    stages = split(network, image, ['stem', 'add'])
    with torch.inference_mode():
        for ours, whole in zip(run_chain(stages, image), network(image), strict=True):
            assert torch.equal(ours, whole)


def test_cost_is_positive_and_rises(image):
    cuts = find_cuts(build('squeezenet1_1'), image)
    shares = [cut.cost_share for cut in cuts]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1


@pytest.mark.parametrize(
    ('cuts', 'message'),
    [
        (['left'], 'cannot be cut after'),
        (['add', 'stem'], 'in order'),
        (['add', 'add'], 'distinct'),
    ],
)
def test_impossible_cuts_are_refused(cuts, message):
    with pytest.raises(StageError, match=message):
        split(TwoBranches().eval(), torch.randn(1, 3, 8, 8), cuts)


def test_network_in_training_mode_is_refused(image):
    with pytest.raises(StageError, match='eval mode'):
        split(build('resnet18').train(), image, [])


def test_untraceable_network_names_the_operation():
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    where = r'`return x if x\.sum\(\) > 0 else -x` \(test_torch_graph\.py, line \d+\)'
    said = rf'Branching.* at {where}.*flow'
    with pytest.raises(StageError, match=said):
        split(Branching().eval(), torch.randn(1, 3, 8, 8), [])
