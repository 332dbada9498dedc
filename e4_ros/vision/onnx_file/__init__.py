"""A detector that somebody brings as an ONNX file: read, understood, made ready to be cut."""

from pathlib import Path


def is_onnx_file(model: str) -> bool:
    """Whether somebody means an ONNX file: by its suffix, whether there is one or not."""
    return Path(model).suffix.lower() == '.onnx'
