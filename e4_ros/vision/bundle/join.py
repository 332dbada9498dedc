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

"""A network's stages joined into one again: the network as somebody without exits would run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from e4_ros.vision.bundle.program import StoredProgram
from e4_ros.vision.staged_network import NO_WORK, Part, StagedNetwork

if TYPE_CHECKING:
    import onnx


def joined(network: StagedNetwork) -> StagedNetwork:
    """The same network uncut and without exits.

    A cut costs what the runtime could have fused over it, and what it takes to start another
    session: 6 % of the pedestrian detector's time in two stages.

    Args:
        network: the network in stages.
    """
    if len(network.stages) == 1:
        return network.without_exits()
    first, last = network.stages[0].program, network.stages[-1].program
    whole = joined_graph(network.stages).SerializeToString()
    program = StoredProgram(first.name, first.inputs, last.outputs, whole)
    work = sum((stage.work for stage in network.stages), NO_WORK)
    return replace(network.without_exits(), stages=(Part(program, work),))


def joined_graph(stages: Sequence[Part]) -> onnx.ModelProto:
    """The graph of all stages; the tensors at cuts keep their names."""
    import onnx

    from e4_ros.vision.onnx_edit import rename

    models = [onnx.load_from_string(stage.program.onnx()) for stage in stages]
    whole, taken = models[0], _names(models[0])
    between = {each.name: each.name for each in (*whole.graph.input, *whole.graph.output)}
    between['x'] = whole.graph.output[0].name
    for index, model in enumerate(models[1:], 1):
        inputs = {each.name: between[each.name] for each in model.graph.input}
        own = _names(model) - set(inputs)
        if index == len(models) - 1:
            own -= {each.name for each in model.graph.output}  # these are the network's outputs
        # Two stages may use the same names inside; weights that both hold are the same ones.
        held = {w.name: w for w in whole.graph.initializer}
        shared = {w.name for w in model.graph.initializer if held.get(w.name) == w}
        changes = {name: f'{index}/{name}' for name in own & taken - shared}
        rename(model, changes | {name: new for name, new in inputs.items() if name != new})
        for node in model.graph.node:
            node.name = node.name and f'{index}/{node.name}'
        whole.graph.node.extend(model.graph.node)
        new = [w for w in model.graph.initializer if w.name not in shared]
        whole.graph.initializer.extend(new)
        whole.graph.value_info.extend([*whole.graph.output, *model.graph.value_info])
        del whole.graph.output[:]
        whole.graph.output.extend(model.graph.output)
        between |= {each.name: each.name for each in model.graph.output}
        between['x'] = model.graph.output[0].name
        taken = _names(whole)
    return whole


def _names(model: onnx.ModelProto) -> set[str]:
    graph = model.graph
    used = {name for node in graph.node for name in (*node.input, *node.output) if name}
    return used | {each.name for each in (*graph.input, *graph.initializer)}
