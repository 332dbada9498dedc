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

"""An ONNX graph as a network: where few tensors are alive, and the pieces between."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import onnx
from onnx import helper

from e4_ros.vision.bundle.program import StoredProgram
from e4_ros.vision.networks.network import Cut, StageError, check_order
from e4_ros.vision.networks.onnx_costs import OperationCost, belongs_to, operation_costs
from e4_ros.vision.onnx_edit import read_by, slots
from e4_ros.vision.staged_network import Part, Work

MOST_TENSORS = 3
"""Tensors that may be alive at a cut: a neck of three scales has as many."""


class OnnxNetwork:
    """A graph that reads one image ``x`` ``(1, 3, H, W)`` and whose shapes are known.

    Between two stages up to three tensors are alive, each under the name that it has in the graph.

    Args:
        model: the graph, operations in order of execution, with the shapes of its tensors.
        fingerprint: hash of the weights; empty for that of the graph's own.

    Attributes:
        model: the graph; not to be changed.
    """

    def __init__(self, model: onnx.ModelProto, fingerprint: str = '') -> None:
        self.model = model
        self._given = fingerprint
        graph = model.graph
        self._nodes = list(graph.node)
        self._known = slots(graph)
        self._weights = {each.name: each for each in graph.initializer}
        self.output_names = tuple(out.name for out in graph.output)

    @cached_property
    def fingerprint(self) -> str:
        """Short hash of the network's weights."""
        if self._given:
            return self._given
        digest = hashlib.sha256()
        for name, tensor in sorted(self._weights.items()):
            digest.update(name.encode())
            digest.update(onnx.numpy_helper.to_array(tensor).tobytes())
        return digest.hexdigest()[:16]

    def cuts(self) -> list[Cut]:
        """Every place where up to three float32 tensors of known shape are alive.

        Not where a runtime would compute what lies before and behind it in one.
        """
        return list(self._cuts)

    def stages(self, cuts: Sequence[str] = ()) -> list[Part]:
        """The stages between cuts, as ONNX programs of their own."""
        check_order(cuts, self._cuts)
        ends = [self._alive[cut] for cut in cuts]
        bounds = [0, *(end + 1 for end, _ in ends), len(self._nodes)]
        given = [*(alive for _, alive in ends), list(self.output_names)]
        return [
            self._part(f'stage{index}', start, stop, given[index])
            for index, (start, stop) in enumerate(pairwise(bounds))
        ]

    @cached_property
    def _costs(self) -> list[OperationCost]:
        return operation_costs(self._nodes, self._known)

    @cached_property
    def _alive(self) -> dict[str, tuple[int, list[str]]]:
        """Where a cut may be: its index, and the tensors alive behind it, its own first."""
        last_use = {name: i for i, node in enumerate(self._nodes) for name in read_by(node)}
        outputs, alive = set(self.output_names), {'x'}
        places: dict[str, tuple[int, list[str]]] = {}
        for index, node in enumerate(self._nodes):
            alive = {name for name in alive if last_use.get(name, -1) > index}
            made = [name for name in node.output if name]
            alive.update(name for name in made if last_use.get(name, -1) > index)
            if outputs.intersection(made):
                break  # from here on an output is there that no later stage would give
            own = made[0]
            following = self._nodes[index + 1]
            fused = own in following.input and belongs_to(following, node)
            if own in alive and 'x' not in alive and not fused and self._may_cross(alive):
                places[own] = index, [own, *sorted(alive - {own})]
        return places

    @cached_property
    def _cuts(self) -> list[Cut]:
        total = sum(cost.weight for cost in self._costs) or 1.0
        done, cuts = 0.0, []
        ends = dict(self._alive.values())
        for index, cost in enumerate(self._costs):
            done += cost.weight
            if index in ends:
                own, *others = ends[index]
                shape, branch = tuple(self._known[own]), self._branch(index, others)
                cuts.append(Cut(own, shape, done / total, 1 + len(others), branch))
        return cuts

    def _branch(self, index: int, others: Sequence[str]) -> bool:
        """Whether what an operation gives is one branch of several, given what else is alive."""
        node = self._nodes[index]
        size = self._known[node.output[0]][2:]
        begins = not set(others).isdisjoint(read_by(node))  # others will read the same
        return begins or any(self._known[other][2:] == size for other in others)

    def _may_cross(self, alive: set[str]) -> bool:
        if len(alive) > MOST_TENSORS:
            return False
        found = [self._known.get(name) for name in alive]
        return all(slot and slot.fixed and slot.kind == onnx.TensorProto.FLOAT for slot in found)

    def _part(self, name: str, start: int, stop: int, outputs: Sequence[str]) -> Part:
        nodes, costs = self._nodes[start:stop], self._costs[start:stop]
        made = {out for node in nodes for out in node.output}
        outputs = [out for out in outputs if out in made]  # others come from stages before
        read = dict.fromkeys(each for node in nodes for each in read_by(node))
        inputs = [each for each in read if each not in made and each not in self._weights]
        if unknown := [each for each in (*inputs, *outputs) if not self._fixed(each)]:
            raise StageError(f'the shape of {unknown[0]} is unknown until the network has run')
        model = helper.make_model(
            helper.make_graph(
                nodes,
                name,
                [self._info(each) for each in inputs],
                [self._info(each) for each in outputs],
                [self._weights[each] for each in read if each in self._weights],
                value_info=[self._info(each) for each in made if self._fixed(each)],
            ),
            opset_imports=self.model.opset_import,
            ir_version=self.model.ir_version,
        )
        program = StoredProgram(
            name,
            {each: tuple(self._known[each]) for each in inputs},
            tuple(outputs),
            model.SerializeToString(),
        )
        work = Work(
            sum(cost.macs for cost in costs),
            sum(cost.bytes_moved for cost in costs),
            sum(cost.layers for cost in costs),
        )
        return Part(program, work)

    def _fixed(self, name: str) -> bool:
        return name in self._known and self._known[name].fixed

    def _info(self, name: str) -> onnx.ValueInfoProto:
        slot = self._known[name]
        return helper.make_tensor_value_info(name, slot.kind, tuple(slot))
