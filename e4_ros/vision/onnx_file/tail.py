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

"""A few operations put behind a foreign graph, so that its answer has a shape decoders know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from e4_ros.vision.onnx_file.graph import Graph

#: Rows that are kept where a network answers with any number of them.
MOST_ROWS = 300


class Tail:
    """Operations behind a graph, with the shapes of what they give.

    Args:
        graph: the graph; its model is copied, not changed.

    Attributes:
        model: the model with everything that was put behind it.
    """

    def __init__(self, graph: Graph):
        self.model = onnx.ModelProto.FromString(graph.model.SerializeToString())
        self._taken = {name for node in self.model.graph.node for name in node.output}
        self._opset = max((o.version for o in self.model.opset_import if not o.domain), default=1)

    def floats(self, name: str, shape: Sequence[int]) -> str:
        """A tensor of any kind as float32, reshaped."""
        cast = self._add('Cast', [name], [-1] * len(shape), to=TensorProto.FLOAT)
        return self.reshape(cast, shape)

    def reshape(self, name: str, shape: Sequence[int]) -> str:
        """The same numbers in another shape; one length may be -1."""
        return self._add('Reshape', [name, self._constant(np.array(shape, np.int64))], shape)

    def part(self, name: str, axis: int, start: int, stop: int, shape: Sequence[int]) -> str:
        """A stretch of an axis; ``shape`` is that of the result."""
        if self._opset < 10:
            return self._add('Slice', [name], shape, axes=[axis], starts=[start], ends=[stop])
        where = [self._constant(np.array([each], np.int64)) for each in (start, stop, axis)]
        return self._add('Slice', [name, *where], shape)

    def join(self, parts: Sequence[str], axis: int, shape: Sequence[int]) -> str:
        """Tensors side by side."""
        return self._add('Concat', list(parts), shape, axis=axis)

    def best_rows(self, rows: str, columns: int, score: int) -> str:
        """Of rows ``(N, columns)``, whose number changes, the `MOST_ROWS` that score best.

        Args:
            rows: name of the tensor.
            columns: number of columns.
            score: the column with the score.

        Returns:
            Name of ``(1, MOST_ROWS, columns)``, filled up with zeros.
        """
        most = MOST_ROWS
        zeros = self._constant(np.zeros((most, columns), np.float32))
        enough = self.join([rows, zeros], 0, (-1, columns))
        scores = self.reshape(self.part(enough, 1, score, score + 1, (-1, 1)), (-1,))
        if self._opset >= 10:
            best = self._top([scores, self._constant(np.array([most], np.int64))], axis=0)
        else:
            best = self._top([scores], axis=0, k=most)
        kept = self._add('Gather', [enough, best], (most, columns), axis=0)
        return self.reshape(kept, (1, most, columns))

    def _top(self, inputs: list[str], **attributes: Any) -> str:
        """Places of the best, best first."""
        values, places = self._free(), self._free()
        node = helper.make_node('TopK', inputs, [values, places], **attributes)
        self.model.graph.node.append(node)
        return places

    def _add(
        self,
        operation: str,
        inputs: list[str],
        shape: Sequence[int],
        **attributes: Any,
    ) -> str:
        name = self._free()
        self.model.graph.node.append(helper.make_node(operation, inputs, [name], **attributes))
        lengths = [None if length < 0 else length for length in shape]
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, lengths)
        self.model.graph.value_info.append(info)
        return name

    def _constant(self, value: np.ndarray) -> str:
        name = self._free()
        self.model.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def _free(self) -> str:
        number = len(self._taken)
        while (name := f'e4_tail_{number}') in self._taken:
            number += 1
        self._taken.add(name)
        return name
