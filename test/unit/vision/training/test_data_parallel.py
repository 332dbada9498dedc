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

from e4_ros.vision.training.data_parallel import DataParallel

INPUTS, TARGETS = torch.arange(12.0).reshape(6, 2), torch.tensor([1.0, 0, 2, 0, 1, 3])


def mean_error(net, part):
    return (net(INPUTS[part])[:, 0] - TARGETS[part]).square().mean()


def gradients(parts, size=6):
    torch.manual_seed(0)
    net = torch.nn.Linear(2, 1)
    loss = DataParallel(net, parts).backward(lambda net, part: mean_error(net, part), size)
    return loss, net.weight.grad, net.bias.grad


@pytest.mark.parametrize('parts', [2, 3, 6, 9])
def test_parts_of_one_size_give_the_gradient_of_the_whole(parts):
    for whole, together in zip(gradients(1), gradients(parts), strict=True):
        torch.testing.assert_close(torch.as_tensor(together), torch.as_tensor(whole))


def test_copies_follow_the_net():
    torch.manual_seed(0)
    net = torch.nn.Linear(2, 1)
    nets = DataParallel(net, 2)
    optimiser = torch.optim.SGD(net.parameters(), 1e-3)
    for _ in range(3):
        before = net.weight.clone()
        nets.backward(mean_error, 6)
        optimiser.step()
        assert not torch.equal(net.weight, before)
        assert all(torch.equal(each.weight, net.weight) for each in nets._nets)


def test_a_failing_part_fails_the_step():
    def fail(net, part):
        if part.start:
            raise ValueError('second part')
        return mean_error(net, part)

    with pytest.raises(ValueError, match='second part'):
        DataParallel(torch.nn.Linear(2, 1), 2).backward(fail, 6)
