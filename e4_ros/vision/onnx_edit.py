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

"""Small changes to an ONNX graph: other outputs, other names, the shapes of its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx


class Slot(tuple[int, ...]):
    """Shape of a tensor, with the ONNX type of its elements; -1 stands for an unknown length."""

    kind: int

    def __new__(cls, shape: Iterable[int], kind: int = onnx.TensorProto.FLOAT) -> Slot:
        """A slot of a shape and kind."""
        found = super().__new__(cls, shape)
        found.kind = kind
        return found

    @property
    def fixed(self) -> bool:
        """Whether every length is known."""
        return -1 not in self


def slots(graph: onnx.GraphProto) -> dict[str, Slot]:
    """Shape and kind of every tensor of which something is known, weights included."""
    found = {
        info.name: slot_of(info)
        for info in (*graph.value_info, *graph.input, *graph.output)
        if info.type.HasField('tensor_type') and info.type.tensor_type.HasField('shape')
    }
    return found | {each.name: Slot(each.dims, each.data_type) for each in graph.initializer}


def slot_of(info: onnx.ValueInfoProto) -> Slot:
    """Shape and kind that are declared for a tensor."""
    tensor = info.type.tensor_type
    lengths = (d.dim_value if d.HasField('dim_value') else -1 for d in tensor.shape.dim)
    return Slot(lengths, tensor.elem_type)


def read_by(node: onnx.NodeProto) -> Iterator[str]:
    """Names of the tensors that an operation reads, in its branches and loops, too."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            inner = {name for each in graph.node for name in each.output}
            inner |= {info.name for info in graph.input} | {w.name for w in graph.initializer}
            outside = (name for each in graph.node for name in read_by(each))
            yield from (name for name in outside if name not in inner)
            yield from (out.name for out in graph.output if out.name not in inner)


def keep_outputs(model: onnx.ModelProto, names: Iterable[str]) -> None:
    """Make tensors the only outputs, in their order, and drop what nothing of them needs.

    Args:
        model: a model with the shapes of its tensors; it is changed.
        names: names of the tensors.
    """
    graph, wanted = model.graph, list(names)
    known = {info.name: info for info in (*graph.value_info, *graph.output)}
    outputs = [known[name] for name in wanted]
    needed, nodes = set(wanted), []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(read_by(node))
    _replace(graph.node, nodes[::-1])
    _replace(graph.output, outputs)
    _replace(graph.initializer, [each for each in graph.initializer if each.name in needed])
    made = {name for node in graph.node for name in node.output}
    inner = [v for v in graph.value_info if v.name in made and v.name not in wanted]
    _replace(graph.value_info, inner)


def rename(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Give tensors other names; a tensor that has one of them already gets another.

    Args:
        model: the model; it is changed.
        names: old name to new name.
    """
    graph, changes = model.graph, dict(names)
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    for new in set(names.values()) & taken - set(names):
        changes[new] = _free(new, taken | set(changes.values()))
    _rename(graph, changes)


def _rename(graph: onnx.GraphProto, changes: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [changes.get(name, name) for name in node.input]
        node.output[:] = [changes.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, changes)
    for named in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        named.name = changes.get(named.name, named.name)


def _free(name: str, taken: set[str]) -> str:
    number = 2
    while f'{name}_{number}' in taken:
        number += 1
    return f'{name}_{number}'


def _replace(field: object, content: list) -> None:
    """Replace a repeated field by copies, since deleting frees what it holds."""
    kept = [type(each).FromString(each.SerializeToString()) for each in content]
    del field[:]  # type: ignore[attr-defined]
    field.extend(kept)  # type: ignore[attr-defined]
