"""Torch modules as ONNX graphs."""

from __future__ import annotations

import io
import warnings

import onnx
import torch
from torch import nn


def exported(module: nn.Module, side: int = 64, **options) -> onnx.ModelProto:
    """A module of one image, ``side`` high and wide, as `torch.onnx.export` writes it."""
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter('ignore')
        torch.onnx.export(module.eval(), torch.zeros(1, 3, side, side), file, **{
            'dynamo': False, 'input_names': ['image'], 'output_names': ['answer'], **options,
        })  # fmt: skip
    return onnx.load_from_string(file.getvalue())
