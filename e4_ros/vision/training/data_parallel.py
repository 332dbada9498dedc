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

"""One training on several threads: each learns from a part of the batch, with its own copy.

`torch.nn.parallel` is for several GPUs or processes; threads within each operation wait for each
other some hundred times a step, these once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from torch import Tensor, nn

Net = TypeVar('Net', bound=nn.Module)


class DataParallel(Generic[Net]):
    """Gradients of a net by parts of a batch.

    The copies share the net's parameters, not its buffers: running means are those of the parts
    that the net itself sees. Make it when the net is where it will be trained.

    Args:
        net: the net, in training mode.
        parts: number of parts, each with a thread.
    """

    def __init__(self, net: Net, parts: int):
        self._nets = [net, *(_copy(net) for _ in range(parts - 1))]
        self._parameters = [list(each.parameters()) for each in self._nets]

    def backward(self, loss_of: Callable[[Net, slice], Tensor], size: int) -> float:
        """Put the mean of the parts' gradients into the net's parameters; return their mean loss.

        Args:
            loss_of: function of a net and the part of the batch that it learns from.
            size: size of the batch.
        """
        parts = min(len(self._nets), size)

        def learn(index: int) -> float:
            for parameter in self._parameters[index]:
                parameter.grad = None
            loss = loss_of(self._nets[index], slice(index, None, parts))
            (loss / parts).backward()
            return loss.item()

        if parts == 1:
            return learn(0)
        with ThreadPoolExecutor(parts) as pool:
            losses = list(pool.map(learn, range(parts)))
        for ours, *theirs in zip(*self._parameters[:parts], strict=True):
            for other in theirs:
                if ours.grad is not None and other.grad is not None:
                    ours.grad += other.grad
        return sum(losses) / parts


def _copy(net: Net) -> Net:
    other = copy.deepcopy(net)
    for ours, theirs in zip(net.parameters(), other.parameters(), strict=True):
        theirs.data = ours.data
    return other
