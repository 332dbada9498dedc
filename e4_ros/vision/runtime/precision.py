"""Precisions of a network's stages, by name."""

from __future__ import annotations

FP32 = 'fp32'
PRECISIONS = (FP32, 'fp16', 'int8')


class PrecisionError(ValueError):
    """A precision does not exist, or a bundle does not have it."""


def check_precision(precision: str) -> None:
    """Refuse an unknown precision.

    Raises:
        PrecisionError: says which there are.
    """
    if precision not in PRECISIONS:
        raise PrecisionError(f'there is no precision {precision!r}; choose one of {PRECISIONS}')
