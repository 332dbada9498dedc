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

from e4_ros.vision.nets.attention import AttentionPool, Gate, MemoryAttention, TokenAttention

MAP = (2, 8, 5, 6)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize('attend', [True, False])
def test_pool_of_a_constant_map_is_the_constant(attend):
    pool = AttentionPool(8, attend)
    torch.testing.assert_close(pool(torch.full(MAP, 3.0)), torch.full((2, 8), 3.0))


def test_pool_looks_where_interest_is():
    pool = AttentionPool(8)
    with torch.no_grad():
        pool.interest.weight.zero_()
        pool.interest.weight[0, 0] = 100.0
    features = torch.zeros(MAP)
    features[:, 0, 2, 3] = 1.0
    features[:, 5, 2, 3] = 7.0
    torch.testing.assert_close(pool(features)[:, 5], torch.full((2,), 7.0))


def test_slot_that_fits_is_remembered_best():
    recall = MemoryAttention(8, slots=2)
    with torch.no_grad():
        recall.sharpness.fill_(50.0)
    now = torch.randn(MAP)
    memory = torch.stack([-now, now], 1)
    remembered, diversity = recall(now, memory, torch.ones(2, 2))
    torch.testing.assert_close(remembered, now, atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(diversity, torch.zeros(2, 1), atol=1e-4, rtol=0)


def test_empty_slots_are_never_read():
    recall = MemoryAttention(8, slots=2)
    now = torch.randn(MAP)
    rubbish = torch.full((2, 2, *MAP[1:]), 1e6)
    remembered, diversity = recall(now, rubbish, torch.zeros(2, 2))
    assert torch.equal(remembered, torch.zeros(MAP))
    assert torch.equal(diversity, torch.ones(2, 1))


def test_without_attention_it_is_the_mean_of_filled_slots():
    recall = MemoryAttention(8, slots=3, attend=False)
    memory = torch.randn(2, 3, *MAP[1:])
    filled = torch.tensor([[1.0, 1.0, 0.0]] * 2)
    remembered, _ = recall(torch.randn(MAP), memory, filled)
    torch.testing.assert_close(remembered, memory[:, :2].mean(1), atol=1e-4, rtol=1e-4)


def test_tokens_are_attended_like_places():
    recall = TokenAttention(8, slots=2)
    with torch.no_grad():
        recall.over_places.sharpness.fill_(50.0)
    now = torch.randn(2, 8)
    remembered, diversity = recall(now, torch.stack([now, -now], 1), torch.ones(2, 2))
    torch.testing.assert_close(remembered, now, atol=1e-2, rtol=1e-2)
    assert diversity.shape == (2, 1)


def test_gate_carries_a_state():
    gate = Gate(4, state=6)
    seen = torch.randn(2, 4)
    first, state = gate(seen, torch.zeros(2, 6))
    second, _ = gate(seen, state)
    assert first.shape == (2, 1)
    assert state.abs().max() <= 1
    assert not torch.equal(first, second)
