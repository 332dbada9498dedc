"""Modules as ONNX files, made once and kept in the cache by content."""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from e4_ros.paths import cache_dir

_OPSET = 17
_FORMAT = '1'  # raise it when the same module would be exported differently


class ExportError(ValueError):
    """A module cannot be written as ONNX."""


def export(module: nn.Module, examples: Sequence[Tensor]) -> Path:
    """ONNX file of an eval-mode module for exactly these input shapes.

    Batch norms are folded into the convolutions before them. Inputs are named ``x0, x1, ...``,
    outputs ``y0, y1, ...``. The file lies in the cache under a hash of the traced code, the weights
    and the shapes; it is written whole or not at all.

    Args:
        module: takes the examples, gives a tensor or a tuple of tensors; traceable by torch.fx.
        examples: one tensor for each input.

    Raises:
        ExportError: the module is in training mode or uses what ONNX cannot say.
    """
    if module.training:
        raise ExportError('put the module in eval mode first: batch norms are folded')
    path = cache_dir() / 'onnx' / f'{_content_hash(module, examples)}.onnx'
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(suffix='.onnx', dir=path.parent)
    os.close(handle)
    try:
        _write(module, examples, scratch)
        Path(scratch).replace(path)
    finally:
        Path(scratch).unlink(missing_ok=True)
    return path


def input_name(index: int) -> str:
    """What an input is called in the file; one that nothing reads is not in it."""
    return f'x{index}'


def _write(module: nn.Module, examples: Sequence[Tensor], path: str) -> None:
    with torch.inference_mode():
        result = module(*examples)
    count = 1 if isinstance(result, Tensor) else len(result)
    try:
        with warnings.catch_warnings():
            # The exporter warns that a newer one exists, which needs one more library.
            warnings.simplefilter('ignore')
            torch.onnx.export(
                module,
                tuple(examples),
                path,
                dynamo=False,
                opset_version=_OPSET,
                input_names=[input_name(i) for i in range(len(examples))],
                output_names=[f'y{i}' for i in range(count)],
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ExportError(f'{type(module).__name__} cannot be written as ONNX: {error}') from error


def _content_hash(module: nn.Module, examples: Sequence[Tensor]) -> str:
    traced = module if isinstance(module, fx.GraphModule) else fx.symbolic_trace(module)
    digest = hashlib.sha256(f'{_FORMAT}/{_OPSET}/{torch.__version__}'.encode())
    digest.update(traced.code.encode())
    for name, child in sorted(traced.named_modules(), key=lambda pair: pair[0]):
        digest.update(f'{name}={child.extra_repr()}'.encode())
    for example in examples:
        digest.update(f'{tuple(example.shape)}{example.dtype}'.encode())
    for name, tensor in sorted(traced.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
