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

"""What each operation of a traced network costs: multiply-accumulates and bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from e4_ros.vision.networks.network import MACS_PER_BYTE

# Runtimes fuse these into the layer before them: they move no bytes of their own.
_FUSED = (
    nn.modules.batchnorm._NormBase,
    nn.ReLU,
    nn.ReLU6,
    nn.SiLU,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.GELU,
    nn.Sigmoid,
    nn.Dropout,
    nn.Identity,
)


@dataclass(frozen=True)
class NodeCost:
    """Cost of one traced node for one input.

    Attributes:
        macs: multiply-accumulates (a bias or an activation counts none).
        bytes_moved: bytes of the tensors it reads and writes and of its parameters.
        shape: shape of its output; empty if that is not one tensor.
        weight: what cuts are proposed by: a sum of macs and bytes.
        layers: operations that a runtime starts one by one; what it fuses into the one before
            counts none.
    """

    macs: int
    bytes_moved: int
    shape: tuple[int, ...]
    weight: float
    layers: int = 1


def node_costs(traced: fx.GraphModule, example: torch.Tensor) -> dict[str, NodeCost]:
    """Run the traced network on an example and take down the cost of every node by its name.

    Args:
        traced: An eval-mode traced network.
        example: An input with batch 1.
    """
    counter = _Counter(traced)
    with torch.inference_mode():
        counter.run(example)
    return counter.costs


def module_cost(module: nn.Module, *examples: torch.Tensor) -> NodeCost:
    """The summed cost of a traceable eval-mode module for one set of inputs."""
    counter = _Counter(fx.symbolic_trace(module))
    with torch.inference_mode():
        counter.run(*examples)
    costs = list(counter.costs.values())
    return NodeCost(
        sum(cost.macs for cost in costs),
        sum(cost.bytes_moved for cost in costs),
        costs[-1].shape,
        sum(cost.weight for cost in costs),
        sum(cost.layers for cost in costs),
    )


class _Counter(fx.Interpreter):
    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.costs: dict[str, NodeCost] = {}

    def run(self, *args: Any, **kwargs: Any) -> Any:
        # Nothing is timed here, and on a busy machine waiting for a second thread takes seconds.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return super().run(*args, **kwargs)
        finally:
            torch.set_num_threads(threads)

    def run_node(self, n: fx.Node) -> Any:
        with FlopCounterMode(display=False) as flops:
            result = super().run_node(n)
        macs = flops.get_total_flops() // 2
        touched = self._bytes_touched(n, result)
        shape = tuple(result.shape) if isinstance(result, torch.Tensor) else ()
        weight = macs + MACS_PER_BYTE * touched
        self.costs[n.name] = NodeCost(macs, touched, shape, weight, int(touched > 0))
        return result

    def _bytes_touched(self, n: fx.Node, result: Any) -> int:
        if n.op in {'placeholder', 'get_attr', 'output'}:
            return 0
        touched = _nbytes(result) + sum(_nbytes(self.env.get(a)) for a in n.all_input_nodes)
        if n.op == 'call_module':
            module = self.fetch_attr(str(n.target))
            if isinstance(module, _FUSED):
                return 0
            touched += sum(_nbytes(p) for p in module.parameters())
        return touched


def _nbytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, (list, tuple)):
        return sum(_nbytes(item) for item in value)
    return 0
