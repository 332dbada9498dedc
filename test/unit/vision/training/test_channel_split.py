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

from itertools import islice

import pytest

torch = pytest.importorskip('torch')

from e4_ros.evaluation.sources import open_source  # noqa: E402
from e4_ros.vision.nets.channel_ranking import ChannelRanking, keep_mask  # noqa: E402
from e4_ros.vision.training.channel_split import (  # noqa: E402
    ChannelSplit,
    fused,
    split_loss,
    split_samples,
    train_split,
)
from e4_ros.vision.zoo import load_model  # noqa: E402

CUT = 'add_7'


@pytest.fixture(scope='module')
def model():
    return load_model('pedestrian_ssdlite')


@pytest.fixture(scope='module')
def samples(model):
    frames = [frame for _, frame in islice(open_source('bikes'), 118, 122, 2)]
    return split_samples(model, CUT, frames, views=2)


@pytest.fixture
def module(model, samples):
    torch.manual_seed(0)
    return ChannelSplit(model, CUT, samples.features.float().mean((0, 2, 3)))


def test_importances_are_shares():
    found = ChannelRanking(16)(torch.randn(3, 16, 5, 7))
    assert found.shape == (3, 16)
    assert torch.allclose(found.sum(1), torch.ones(3))
    assert (found >= 0).all()


@pytest.mark.parametrize(('share', 'count'), [(1.0, 8), (0.5, 4), (0.25, 2), (0.0, 1)])
def test_the_most_important_maps_are_kept(share, count):
    importance = torch.rand(2, 8)
    mask = keep_mask(importance, share)
    assert mask.sum(1).tolist() == [count, count]
    kept = importance.masked_fill(mask < 0.5, 2.0).amin(1)
    left = importance.masked_fill(mask > 0.5, -1.0).amax(1)
    assert (kept > left).all()


def test_a_ranking_can_be_learned_through_the_choice():
    importance = torch.rand(2, 8, requires_grad=True)
    (keep_mask(importance, 0.5) * torch.randn(2, 8)).sum().backward()
    assert importance.grad.abs().sum() > 0


def test_all_maps_give_what_the_network_says(module, samples):
    with torch.no_grad():
        encodings, logits = module(samples.features.float(), 1.0)[0]
    assert torch.allclose(encodings, samples.encodings, atol=0.05)
    assert torch.allclose(logits, samples.logits, atol=0.1)


def test_the_network_itself_is_left_as_it_was(model, module, samples):
    before = model.network.fingerprint
    train_split(module, samples, steps=1)
    assert model.network.fingerprint == before


def test_half_of_the_maps_is_learned(module, samples):
    wanted = samples.encodings, samples.logits

    def loss():
        with torch.no_grad():
            stays, travels = module(samples.features.float(), 0.5)
            return float(split_loss(fused(stays, travels, 0.5), wanted))

    before = loss()
    history = train_split(module, samples, steps=8, seed=1)
    assert len(history) == 8
    assert loss() < before


def test_the_same_answer_costs_nothing_and_another_does(samples):
    wanted = samples.encodings, samples.logits
    assert float(split_loss(wanted, wanted)) == pytest.approx(0.0, abs=1e-6)
    assert float(split_loss((wanted[0] + 1, wanted[1] + 1), wanted)) > 0
