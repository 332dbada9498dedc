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

"""A program for several inputs at once: its batch axis widened, and checked against single runs.

Exported networks have a batch of one written into their inputs, and some into reshapes inside. The
first is a matter of writing another number. Where a reshape says 1 for the batch, it is told to
keep what comes; what cannot be widened so is refused, and answers are compared before anyone uses
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from e4_ros.vision.bundle.program import StoredProgram
from e4_ros.vision.runtime.device_check import difference, example
from e4_ros.vision.runtime.devices import CPU, DEVICES
from e4_ros.vision.runtime.interfaces import Program

if TYPE_CHECKING:
    import onnx

BUCKETS = (1, 2, 4, 8)
"""Batches that are kept ready; a run of three is one of four with a row left over."""

_TOLERANCE = 1e-4  # of an output's largest value


class BatchError(ValueError):
    """A program has a batch of one built in where it cannot be widened; says where."""


def bucket_of(count: int, largest: int = BUCKETS[-1]) -> int:
    """The smallest bucket that holds so many inputs, or the largest that is allowed.

    Args:
        count: number of inputs, at least 1.
        largest: largest batch that is wanted.
    """
    allowed = [bucket for bucket in BUCKETS if bucket <= max(largest, 1)]
    return next((bucket for bucket in allowed if bucket >= count), allowed[-1])


def widened(program: Program, batch: int) -> StoredProgram:
    """A program that computes for ``batch`` inputs what the given one computes for one.

    Args:
        program: all its inputs and outputs begin with a length of 1.
        batch: length that they have afterwards.

    Returns:
        The program, every row of whose outputs was compared with a run of the given one.

    Raises:
        BatchError: it has a batch of one built in.
    """
    if batch < 1:
        raise ValueError(f'a batch of {batch} is none')
    if batch == 1:
        return StoredProgram(
            program.name, dict(program.inputs), tuple(program.outputs), program.onnx()
        )
    if fixed := [name for name, shape in program.inputs.items() if shape[:1] != (1,)]:
        raise BatchError(
            f'input {fixed[0]!r} of {program.name} has the shape {program.inputs[fixed[0]]}, which '
            'does not begin with a batch of 1: run it one at a time'
        )
    wide = _widened(program.onnx(), batch)
    _compare(program, wide, batch)
    inputs = {name: (batch, *shape[1:]) for name, shape in program.inputs.items()}
    return StoredProgram(program.name, inputs, tuple(program.outputs), wide)


def _widened(model: bytes, batch: int) -> bytes:
    import onnx

    from e4_ros.vision.onnx_edit import slots

    found = onnx.load_from_string(model)
    graph = found.graph
    known = slots(graph)
    weights = {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.op_type == 'Reshape' and node.input[1] in weights:
            _keep_batch(graph, node, known, weights[node.input[1]])
    for info in (*graph.input, *graph.output):
        lengths = info.type.tensor_type.shape.dim
        if info.name not in weights and lengths and lengths[0].dim_value == 1:
            lengths[0].dim_value = batch
    del graph.value_info[:]  # they say what a batch of one has
    return found.SerializeToString()


def _keep_batch(graph: onnx.GraphProto, node: Any, known: Any, shape: onnx.TensorProto) -> None:
    """Let a reshape to ``(1, ...)`` of a tensor ``(1, ...)`` keep its first length instead."""
    import onnx

    wanted = onnx.numpy_helper.to_array(shape).copy()
    before = known.get(node.input[0])
    allow_zero = any(each.name == 'allowzero' and each.i for each in node.attribute)
    if not wanted.size or wanted[0] != 1 or (before and before[:1] != (1,)) or allow_zero:
        return
    wanted[0] = 0  # of the input's own length
    name = f'{node.output[0]}/any_batch'
    graph.initializer.append(onnx.numpy_helper.from_array(wanted, name))
    node.input[1] = name


def _compare(program: Program, wide: bytes, batch: int) -> None:
    """Refuse a widened program unless each of its rows is what the single one gives."""
    given = {name: example((batch, *shape[1:])) for name, shape in program.inputs.items()}
    single = _session(program.onnx())
    names = [slot.name for slot in single.get_outputs()]
    read = {slot.name for slot in single.get_inputs()}
    try:
        found = _session(wide).run(names, {name: given[name] for name in read})
    except Exception as error:  # ONNX Runtime has an exception for each of its status codes
        reason = str(error).strip().splitlines()[0][:200]
        raise BatchError(
            f'{program.name} has a batch of 1 built in and cannot take {batch} at once ({reason}): '
            'export it with a free batch axis, or run it one at a time'
        ) from error
    for row in range(batch):
        one = single.run(names, {name: given[name][row : row + 1] for name in read})
        for name, many, expected in zip(names, found, one, strict=True):
            fits = many.shape == (batch, *expected.shape[1:])
            if not fits or not difference(many[row : row + 1], expected) <= _TOLERANCE:
                raise BatchError(
                    f'{program.name} mixes the rows of a batch: output {name!r} of {batch} at '
                    'once is not that of one at a time; run it one at a time'
                )


def _session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=[DEVICES[CPU].provider])
