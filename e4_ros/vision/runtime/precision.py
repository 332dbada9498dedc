"""Precisions by name; a stage in fewer bits lies in a file beside the one it was made from."""

from __future__ import annotations

from pathlib import Path

FP32 = 'fp32'
PRECISIONS = (FP32, 'fp16', 'int8')


class PrecisionError(ValueError):
    """A precision does not exist, or was not made on this machine."""


def check_precision(precision: str) -> None:
    """Refuse what is no precision.

    Raises:
        PrecisionError: says which there are.
    """
    if precision not in PRECISIONS:
        raise PrecisionError(f'there is no precision {precision!r}; choose one of {PRECISIONS}')


def reduced_path(path: Path, precision: str) -> Path:
    """Where a stage in fewer bits lies."""
    return path.with_suffix(f'.{precision}.onnx')


def stage_file(path: Path, precision: str) -> Path:
    """The file that a stage runs from.

    Args:
        path: file of the exported stage.
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
