"""A program as a bundle keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class StoredProgram:
    """A program that is an ONNX model already.

    Attributes:
        name: name of the stage or exit.
        inputs: shape of each input by its name.
        outputs: names of the outputs.
        model: the ONNX model.
    """

    name: str
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    model: bytes

    def onnx(self) -> bytes:
        """The program as an ONNX file."""
        return self.model
