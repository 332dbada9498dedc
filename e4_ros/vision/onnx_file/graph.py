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

"""Questions to a prepared graph: shapes, what makes a tensor, what its columns are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from e4_ros.vision.onnx_edit import Slot, read_by, slots

#: Kinds of elements that are whole numbers.
WHOLE = frozenset({TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8, TensorProto.INT8})
_LEARNT = ('Conv', 'MatMul', 'Gemm', 'ConvTranspose')
# These leave every column in its place.
_SAME = ('Identity', 'Cast', 'Sigmoid', 'Relu', 'Clip', 'QuantizeLinear', 'DequantizeLinear')
_MOST_COLUMNS = 64  # no detector joins more kinds of numbers
_RESHAPES = ('Reshape', 'Squeeze', 'Unsqueeze', 'Flatten')


class Graph:
    """A graph with one image as its input and every known shape noted.

    Args:
        model: as `prepare` gives it.

    Attributes:
        model: the model.
        size: height and width of the image, pixels.
        outputs: names of the outputs.
        operations: how often each operation occurs.
    """

    def __init__(self, model: onnx.ModelProto):
        self.model = model
        graph = model.graph
        self._slots = slots(graph)
        self._makers = {name: node for node in graph.node for name in node.output if name}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in set(read_by(node)):
                self._readers.setdefault(name, []).append(node)
        self._columns: dict[tuple[str, int], list[tuple[str, int]]] = {}
        self._weights = {each.name: each for each in graph.initializer}
        self.outputs = [out.name for out in graph.output]
        self.operations = Counter(node.op_type for node in graph.node)
        shape = self._slots[graph.input[0].name]
        self.size = (shape[2], shape[3])

    def shape(self, name: str) -> Slot | None:
        """Shape and kind of a tensor, -1 for an unknown length; None where nothing is known."""
        return self._slots.get(name)

    def fixed(self, name: str) -> tuple[int, ...] | None:
        """Shape of a tensor of floats, if every length is known and none is 0."""
        slot = self._slots.get(name)
        if slot is None or not slot.fixed or 0 in slot or self.whole(name):
            return None
        return tuple(slot)

    def whole(self, name: str) -> bool:
        """Whether a tensor holds whole numbers."""
        slot = self._slots.get(name)
        return slot is not None and slot.kind in WHOLE

    def maker(self, name: str) -> onnx.NodeProto | None:
        """The operation that makes a tensor."""
        return self._makers.get(name)

    def readers(self, name: str) -> Sequence[onnx.NodeProto]:
        """The operations that read a tensor."""
        return self._readers.get(name, ())

    def constant(self, name: str) -> np.ndarray | None:
        """The value of a weight; None for what is computed."""
        found = self._weights.get(name)
        return None if found is None else numpy_helper.to_array(found)

    def tensors(self) -> Iterator[str]:
        """Every computed tensor, the last first."""
        for node in reversed(self.model.graph.node):
            yield from (name for name in node.output if name)

    def before(self, name: str, stop: Collection[str] = _LEARNT) -> list[onnx.NodeProto]:
        """The operations that lead to a tensor, the nearest first, up to some that end the search.

        Args:
            name: name of the tensor.
            stop: kinds of operations that are not passed, nor listed.
        """
        found: list[onnx.NodeProto] = []
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            node = self._makers.get(waiting.pop(0))
            if node is None or node.op_type in stop or node.output[0] in seen:
                continue
            seen.add(node.output[0])
            found.append(node)
            waiting.extend(read_by(node))
        return found

    def steps(self, name: str) -> set[str]:
        """Kinds of the operations between the last learnt ones and a tensor."""
        return {node.op_type for node in self.before(name)}

    def columns(self, name: str, axis: int) -> list[tuple[str, int]]:
        """Of which tensors a tensor is put together along an axis, as name and width.

        Reshapes, transposes and what joins feature maps are looked through.
        """
        slot = self._slots.get(name)
        if slot is None or not slot.fixed:
            return []
        key = (name, axis % len(slot))
        if key not in self._columns:  # tensors that are joined again and again are read once
            found = self._joined(slot, *key)
            self._columns[key] = found if len(found) <= _MOST_COLUMNS else [(name, slot[key[1]])]
        return self._columns[key]

    def _joined(self, slot: Slot, name: str, axis: int) -> list[tuple[str, int]]:
        whole = [(name, slot[axis])]
        node = self._makers.get(name)
        if node is None:
            return whole
        if node.op_type == 'Concat':
            joined = _attribute(node, 'axis', 0) % len(slot)
            if joined == axis:
                parts = [self.columns(each, axis) for each in node.input]
                return [column for part in parts for column in part] if all(parts) else whole
            return self._through(node.input[0], axis, whole)
        if node.op_type == 'Transpose':
            order = _attribute(node, 'perm', tuple(reversed(range(len(slot)))))
            return self._through(node.input[0], order[axis], whole)
        if node.op_type in _SAME or node.op_type.startswith('Scatter'):
            return self._through(node.input[0], axis, whole)
        if node.op_type in _RESHAPES:
            source = self._slots.get(node.input[0])
            place = None if source is None or not source.fixed else same_axis(source, slot, axis)
            return whole if place is None else self._through(node.input[0], place, whole)
        return whole

    def _through(
        self, source: str, axis: int, otherwise: list[tuple[str, int]]
    ) -> list[tuple[str, int]]:
        """Columns of a tensor that another is made of, unless they are but one."""
        found = self.columns(source, axis)
        return found if len(found) > 1 else otherwise


def same_axis(source: Sequence[int], target: Sequence[int], axis: int) -> int | None:
    """The axis of a tensor that is an axis of its reshaped self; None where there is none."""
    length = target[axis]
    ahead, behind = math.prod(target[:axis]), math.prod(target[axis + 1 :])
    for place, each in enumerate(source):
        if each == length and (
            math.prod(source[:place]) == ahead or math.prod(source[place + 1 :]) == behind
        ):
            return place
    return None


def words(shape: Sequence[int] | None) -> str:
    """A shape as people write it."""
    if shape is None:
        return 'of unknown shape'
    return '×'.join('?' if length < 0 else str(length) for length in shape) or 'one number'


def listed(graph: Graph) -> str:
    """The outputs of a graph with their shapes, for messages."""
    return ', '.join(f'{name} {words(graph.shape(name))}' for name in graph.outputs)


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    for each in node.attribute:
        if each.name == name:
            return onnx.helper.get_attribute_value(each)
    return default
