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

"""An exported stage in fewer bits: int8 by the ranges seen on footage, or half floats."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

Inputs = Mapping[str, np.ndarray]

_CONVOLUTIONS = frozenset(('Conv', 'ConvTranspose'))
_CHANNELS = 13  # opset from which DequantizeLinear takes an axis


def reduce_model(model: bytes, precision: str, inputs: Sequence[Inputs]) -> bytes:
    """A stage in fewer bits; what goes in and comes out stays float32.

    int8 is ONNX Runtime's static quantisation: QDQ, unsigned activations by their range over the
    inputs, signed weights by channel (Krishnamoorthi, arXiv 1806.08342, section 3). What lies
    behind the last convolutions stays float32: it is little work, and 256 steps for box corners
    in pixels together with scores would leave nothing of the scores.

    Args:
        model: ONNX model of the stage.
        precision: ``fp16`` or ``int8``.
        inputs: the stage's inputs by name, ``(1, ...)`` float32 each; as on real footage.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, made = Path(folder) / 'plain.onnx', Path(folder) / 'made.onnx'
        plain.write_bytes(model)
        if precision == 'int8':
            _quantise(plain, inputs, made)
        else:
            _halve(plain, made)
        return made.read_bytes()


def _halve(path: Path, out: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), out)


def _quantise(path: Path, inputs: Sequence[Inputs], out: Path) -> None:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Footage(CalibrationDataReader):
        def __init__(self, names: set[str]) -> None:
            self._left = ({n: a for n, a in seen.items() if n in names} for seen in inputs)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._left, None)

    ready = path.with_name('ready.onnx')
    with _without_warnings():
        quant_pre_process(path, ready, skip_symbolic_shape=True)
        prepared = _with_channels(onnx.load(ready))
        tail = _behind_convolutions(prepared.graph)
        onnx.save(prepared, ready)
        quantize_static(
            ready,
            out,
            Footage({each.name for each in prepared.graph.input}),
            per_channel=_opset(prepared) >= _CHANNELS,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=tail,
        )


def _with_channels(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same in the opset in which weights may have a scale for each channel, if it can be."""
    from onnx import version_converter

    if _opset(model) >= _CHANNELS:
        return model
    try:
        return version_converter.convert_version(model, _CHANNELS)
    except RuntimeError:  # an operation without an adapter: one scale for all channels then
        return model


def _opset(model: onnx.ModelProto) -> int:
    return next(each.version for each in model.opset_import if each.domain in ('', 'ai.onnx'))


def _behind_convolutions(graph: onnx.GraphProto) -> list[str]:
    """Names of the operations whose results reach no convolution; all get names of their own."""
    needed: set[str] = set()
    tail = []
    for index, node in reversed(list(enumerate(graph.node))):
        node.name = f'node{index}'
        if node.op_type in _CONVOLUTIONS or not needed.isdisjoint(node.output):
            needed.update(node.input)
        else:
            tail.append(node.name)
    return tail


@contextmanager
def _without_warnings() -> Iterator[None]:
    """The quantiser warns of each weight that has no channels, which then has one scale."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
