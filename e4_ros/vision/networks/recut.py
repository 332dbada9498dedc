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

"""A network in stages cut in further places, where features may leave the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from e4_ros.vision.bundle.join import joined_graph
from e4_ros.vision.networks.network import StageError
from e4_ros.vision.networks.onnx_fold import folded
from e4_ros.vision.networks.onnx_network import OnnxNetwork
from e4_ros.vision.staged_network import StagedNetwork


def recut(network: StagedNetwork, cuts: Sequence[str]) -> StagedNetwork:
    """The same network, cut behind its exits and in further places.

    Answers stay the same. The graph is read as a server reads it that takes over behind a cut, so
    that both mean the same tensors by a name.

    Args:
        network: the network in stages, in float32.
        cuts: names of the further cuts, in any order; see `OnnxNetwork.cuts`.

    Raises:
        StageError: the network cannot be cut there; says where it can.
    """
    graph = OnnxNetwork(folded(joined_graph(network.stages)), network.weights)
    order = [cut.node for cut in graph.cuts()]
    if strangers := [cut for cut in cuts if cut not in order]:
        raise StageError(
            f'the network cannot be cut after {strangers[0]!r}; it can after {", ".join(order)}'
        )
    exits = {place: network.stages[place].program.outputs[0] for place in network.exit_behind}
    if lost := [cut for cut in exits.values() if cut not in order]:
        raise StageError(f'the exit behind {lost[0]!r} would be lost')
    chosen = sorted({*cuts, *exits.values()}, key=order.index)
    places = [chosen.index(cut) for cut in exits.values()]
    return replace(network, stages=graph.stages(chosen), places=places)
