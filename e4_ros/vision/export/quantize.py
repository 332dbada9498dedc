"""An exported stage in fewer bits: int8 by the ranges seen on footage, or half floats."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def reduce_model(model: bytes, precision: str, inputs: Sequence[np.ndarray]) -> bytes:
    """A stage in fewer bits; what goes in and comes out stays float32.

    int8 is ONNX Runtime's static quantisation: QDQ, unsigned activations by their range over the
    inputs, signed weights by channel (Krishnamoorthi, arXiv 1806.08342, section 3).

    Args:
        model: ONNX model of the stage, which has one input.
        precision: ``fp16`` or ``int8``.
        inputs: ``(1, ...)`` float32 each; what the stage sees on real footage.
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


def _quantise(path: Path, inputs: Sequence[np.ndarray], out: Path) -> None:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name = onnx.load(path, load_external_data=False).graph.input[0].name

    class Footage(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(inputs)

        def get_next(self) -> dict[str, np.ndarray] | None:
            found = next(self._left, None)
            return None if found is None else {name: found}

    ready = path.with_name('ready.onnx')
    quant_pre_process(path, ready, skip_symbolic_shape=True)
    quantize_static(
        ready,
        out,
        Footage(),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
