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

"""What each operation of an ONNX graph costs: multiply-accumulates, bytes, starts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from e4_ros.vision.networks.network import MACS_PER_BYTE
from e4_ros.vision.onnx_edit import Slot

# Nothing moves: the same numbers in another shape, or known before the first frame.
_VIEWS = frozenset(
    ('Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity', 'Dropout', 'Shape', 'Constant')
)

# Runtimes fuse these into the operation before them.
_FUSED = frozenset(
    (
        *('BatchNormalization', 'Relu', 'Clip', 'LeakyRelu', 'PRelu', 'Sigmoid', 'HardSigmoid'),
        *('HardSwish', 'Gelu', 'Elu', 'Mish', 'Softplus', 'Tanh', 'Erf'),
    )
)
_BYTES = 4  # of a float32


@dataclass(frozen=True)
class OperationCost:
    """Cost of one operation for one image.

    Attributes:
        macs: multiply-accumulates; a bias or an activation counts none.
        bytes_moved: bytes of the tensors it reads and writes, weights included.
        layers: 1 where a runtime starts something of its own.
    """

    macs: int = 0
    bytes_moved: int = 0
    layers: int = 0

    @property
    def weight(self) -> float:
        """What cuts are proposed by: a sum of both."""
        return self.macs + MACS_PER_BYTE * self.bytes_moved


def operation_costs(
    nodes: Sequence[onnx.NodeProto], known: Mapping[str, Slot]
) -> list[OperationCost]:
    """The cost of every operation; of one whose shapes are unknown it counts what is known.

    Args:
        nodes: operations in order of execution.
        known: shapes of their tensors.
    """
    sigmoids = {node.output[0]: node.input[0] for node in nodes if node.op_type == 'Sigmoid'}
    return [_cost(node, known, sigmoids) for node in nodes]


def belongs_to(node: onnx.NodeProto, before: onnx.NodeProto) -> bool:
    """Whether a runtime computes an operation together with the one right before it."""
    return node.op_type in _FUSED or (before.op_type == 'Sigmoid' and node.op_type == 'Mul')


def _cost(
    node: onnx.NodeProto, known: Mapping[str, Slot], sigmoids: Mapping[str, str]
) -> OperationCost:
    if node.op_type in _VIEWS or node.op_type in _FUSED or _is_silu(node, sigmoids):
        return OperationCost()
    touched = sum(_count(known.get(name)) for name in (*node.input, *node.output))
    return OperationCost(_macs(node, known), _BYTES * touched, 1)


def _is_silu(node: onnx.NodeProto, sigmoids: Mapping[str, str]) -> bool:
    """Whether it multiplies a tensor with its own sigmoid."""
    if node.op_type != 'Mul':
        return False
    one, other = node.input
    return sigmoids.get(one) == other or sigmoids.get(other) == one


def _macs(node: onnx.NodeProto, known: Mapping[str, Slot]) -> int:
    if node.op_type == 'Conv':
        return _count(known.get(node.output[0])) * _count(_weights(node, known)[1:])
    if node.op_type == 'ConvTranspose':
        return _count(known.get(node.input[0])) * _count(_weights(node, known)[1:])
    if node.op_type in ('MatMul', 'Gemm'):
        factors = known.get(node.input[0])
        transposed = any(a.name == 'transA' and a.i for a in node.attribute)
        inner = factors[-2 if transposed else -1] if factors else 0
        return _count(known.get(node.output[0])) * max(inner, 0)
    return 0


def _weights(node: onnx.NodeProto, known: Mapping[str, Slot]) -> tuple[int, ...]:
    return known.get(node.input[1]) or (0, 0)


def _count(shape: Sequence[int] | None) -> int:
    return 0 if shape is None else math.prod(max(length, 0) for length in shape)
