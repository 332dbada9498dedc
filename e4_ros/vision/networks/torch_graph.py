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

"""Cut a network into stages: between two of them exactly one tensor is alive.

A network is traced by ``torch.fx`` in eval mode. A cut is possible after a node when nothing that
was computed before it, other than that node's own tensor, is used behind it. The stages between the
chosen cuts are run one after the other and give, bit for bit, what the whole network gives.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import fx, nn

from e4_ros.vision.networks.network import Cut, StageError, check_order
from e4_ros.vision.networks.torch_costs import NodeCost, node_costs


@dataclass(frozen=True)
class Stage:
    """A piece of the network that is run whole.

    Attributes:
        name: unique in its chain.
        module: takes one tensor; gives one tensor, or the network's own outputs if it is the last.
        macs: multiply-accumulates for one input.
        bytes_moved: bytes that its layers read and write (activations and weights) for one input.
        layers: operations that a runtime starts one by one.
        shape: shape of the tensor that it gives; empty for the last, which may give several.
        cut: name of the traced node that it ends with.
    """

    name: str
    module: nn.Module
    macs: int
    bytes_moved: int
    layers: int
    shape: tuple[int, ...] = ()
    cut: str = ''


def trace(network: nn.Module) -> fx.GraphModule:
    """Trace an eval-mode network.

    Raises:
        StageError: the network is in training mode, or an operation in it cannot be traced.
    """
    if network.training:
        raise StageError('put the network in eval mode first: tracing would move its statistics')
    try:
        return fx.symbolic_trace(network)
    except Exception as error:  # torch.fx raises whatever the traced code raises
        raise StageError(
            f'{type(network).__name__} cannot be traced by torch.fx{_where(error)}: {error}. '
            f'Control flow that depends on tensor values has to move out of its forward()'
        ) from error


def _where(error: Exception) -> str:
    """The line of the network's own code at which tracing stopped."""
    ours = Path(__file__), Path(torch.__file__).parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not any(Path(frame.filename).is_relative_to(path) for path in ours):
            return f' at `{frame.line}` ({Path(frame.filename).name}, line {frame.lineno})'
    return ''


def find_cuts(network: nn.Module, example: torch.Tensor) -> list[Cut]:
    """Every place where the network may be cut, in order of execution.

    Args:
        network: eval-mode network of one input.
        example: an input with batch 1.

    Raises:
        StageError: the network cannot be traced.
    """
    traced = trace(network)
    return _cuts(traced, node_costs(traced, example))


def split(network: nn.Module, example: torch.Tensor, cuts: Sequence[str]) -> list[Stage]:
    """Split a network so that the chain of its stages equals the whole exactly.

    Args:
        network: eval-mode network of one input.
        example: an input with batch 1.
        cuts: names of traced nodes as in `Cut`, in order of execution.

    Raises:
        StageError: the network cannot be traced, or a cut does not exist.
    """
    traced = trace(network)
    costs = node_costs(traced, example)
    check_order(cuts, _cuts(traced, costs))
    pieces = _pieces(list(traced.graph.nodes), set(cuts))
    return [_stage(traced, piece, index, costs) for index, piece in enumerate(pieces)]


def _cuts(traced: fx.GraphModule, costs: dict[str, NodeCost]) -> list[Cut]:
    total = sum(cost.weight for cost in costs.values()) or 1.0
    lonely = _lonely(traced)
    cuts, done = [], 0.0
    for name, cost in costs.items():
        done += cost.weight
        if name in lonely and cost.shape:
            cuts.append(Cut(name, cost.shape, done / total))
    return cuts


def _lonely(traced: fx.GraphModule) -> set[str]:
    """Names of the nodes whose value is the only one alive right after them."""
    nodes = list(traced.graph.nodes)
    position = {node: index for index, node in enumerate(nodes)}
    last_use = {node: max((position[user] for user in node.users), default=-1) for node in nodes}
    final = {arg for node in nodes if node.op == 'output' for arg in node.all_input_nodes}
    found: set[str] = set()
    alive: set[fx.Node] = set()
    for index, node in enumerate(nodes):
        alive = {other for other in alive if last_use[other] > index}
        if node.op != 'get_attr' and last_use[node] > index:
            alive.add(node)
        if alive == {node} and node.op != 'placeholder' and node not in final:
            found.add(node.name)
    return found


def _pieces(nodes: list[fx.Node], cut_after: set[str]) -> list[list[fx.Node]]:
    pieces: list[list[fx.Node]] = [[]]
    for node in nodes:
        pieces[-1].append(node)
        if node.name in cut_after:
            pieces.append([])
    return pieces


def _stage(
    traced: fx.GraphModule, piece: list[fx.Node], index: int, costs: dict[str, NodeCost]
) -> Stage:
    inside = set(piece)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    if piece[0].op != 'placeholder':
        stage_input = graph.placeholder('x')

    def copied(node: fx.Node) -> fx.Node:
        if node in copies:
            return copies[node]
        if node.op == 'get_attr':
            copies[node] = graph.node_copy(node)
            return copies[node]
        assert node not in inside, 'nodes are in order of execution'
        return stage_input  # the one tensor that is alive at the cut

    for node in piece:
        if node.op != 'get_attr':
            copies[node] = graph.node_copy(node, copied)
    if piece[-1].op != 'output':
        graph.output(copies[piece[-1]])
    return Stage(
        name=f'stage{index}',
        module=fx.GraphModule(traced, graph, f'Stage{index}').eval(),
        macs=sum(costs[node.name].macs for node in piece),
        bytes_moved=sum(costs[node.name].bytes_moved for node in piece),
        layers=sum(costs[node.name].layers for node in piece),
        shape=() if piece[-1].op == 'output' else costs[piece[-1].name].shape,
        cut=piece[-1].name,
    )
