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
