"""Exported stages in fewer bits, each in a file beside the one it was made from."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from e4_ros.vision.runtime.onnx_export import input_name

FP32 = 'fp32'
PRECISIONS = (FP32, 'fp16', 'int8')


class PrecisionError(ValueError):
    """A precision does not exist, or was not made on this machine."""


def check_precision(precision: str) -> None:
    """Refuse what is no precision."""
    if precision not in PRECISIONS:
        raise PrecisionError(f'there is no precision {precision!r}; choose one of {PRECISIONS}')


def reduced_path(path: Path, precision: str) -> Path:
    """Where a stage in fewer bits lies."""
    return path.with_suffix(f'.{precision}.onnx')


def stage_file(path: Path, precision: str) -> Path:
    """The file that a stage runs from.

    Args:
        path: of the exported stage.
        precision: one of `PRECISIONS`.

    Raises:
        PrecisionError: there is no such file; says how to make it.
    """
    check_precision(precision)
    if precision == FP32:
        return path
    made = reduced_path(path, precision)
    if not made.is_file():
        raise PrecisionError(
            f'this network has not been kept in {precision} on this machine: run `e4 precision '
            'FOOTAGE` with the same --model and --exits. It makes it, measures it, and keeps it '
            'if it is faster and says the same'
        )
    return made


def write_reduced(path: Path, precision: str, inputs: Sequence[np.ndarray], folder: Path) -> Path:
    """Write an exported stage in fewer bits; what goes in and comes out stays float32.

    int8 is ONNX Runtime's static quantisation: QDQ, unsigned activations by their range over the
    inputs, signed weights by channel (Krishnamoorthi, arXiv 1806.08342, section 3).

    Args:
        path: of the exported stage, which has one input.
        precision: ``fp16`` or ``int8``.
        inputs: ``(1, ...)`` float32 each; what the stage sees on real footage.
        folder: for the file.
    """
    out = folder / path.name
    if precision == 'int8':
        _quantise(path, inputs, out)
    else:
        _halve(path, out)
    return out


def _halve(path: Path, out: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), out)


def _quantise(path: Path, inputs: Sequence[np.ndarray], out: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Footage(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(inputs)

        def get_next(self) -> dict[str, np.ndarray] | None:
            found = next(self._left, None)
            return None if found is None else {input_name(0): found}

    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        plain = Path(scratch) / 'plain.onnx'
        quant_pre_process(path, plain, skip_symbolic_shape=True)
        quantize_static(
            plain,
            out,
            Footage(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
