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

"""Modules as ONNX files, made once and kept in the cache by content."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import Tensor, fx, nn

from e4_ros.paths import cache_dir
from e4_ros.vision.networks.torch_graph import Stage

_OPSET = 17
_FORMAT = '2'  # raise it when the same module would be exported differently


class ExportError(ValueError):
    """A module cannot be written as ONNX."""


@dataclass(frozen=True, eq=False)
class ModuleProgram:
    """A torch module as a `Program`: written as ONNX when a runtime asks for that.

    Attributes:
        name: name of the program, unique in its network.
        module: eval-mode module, traceable by torch.fx, that takes one tensor for each input.
        inputs: shape of each input by its name, in the order of the module's arguments.
        outputs: names of the module's outputs, in order.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]

    def onnx(self) -> bytes:
        """The program as an ONNX file."""
        return self.file().read_bytes()

    def file(self) -> Path:
        """The program as a file in the cache."""
        return export(self.module, self.inputs, self.outputs)


def stage_programs(
    stages: Sequence[Stage], shape: tuple[int, ...], outputs: tuple[str, ...]
) -> list[ModuleProgram]:
    """Programs of a network's stages, wired by the names of the cuts between them.

    Args:
        stages: stages of one network, in order.
        shape: shape of the network's input.
        outputs: names of the network's own outputs, which the last stage gives.
    """
    programs, read = [], 'x'
    for index, stage in enumerate(stages):
        names = outputs if index == len(stages) - 1 else (stage.cut,)
        programs.append(ModuleProgram(stage.name, stage.module, {read: shape}, names))
        read, shape = stage.cut, stage.shape
    return programs


def export(
    module: nn.Module, inputs: Mapping[str, tuple[int, ...]], outputs: Sequence[str]
) -> Path:
    """ONNX file of an eval-mode module for exactly these input shapes.

    Batch norms are folded into the convolutions before them. The file lies in the cache under a
    hash of the traced code, the weights, the names and the shapes; it is written whole or not at
    all.

    Args:
        module: takes a tensor for each input, gives a tensor or a tuple of tensors; traceable by
            torch.fx.
        inputs: shape of each input by its name; one that nothing reads is not in the file.
        outputs: name of each output.

    Raises:
        ExportError: the module is in training mode or uses what ONNX cannot say.
    """
    if module.training:
        raise ExportError('put the module in eval mode first: batch norms are folded')
    path = cache_dir() / 'onnx' / f'{_content_hash(module, inputs, outputs)}.onnx'
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(suffix='.onnx', dir=path.parent)
    os.close(handle)
    try:
        _write(module, inputs, outputs, scratch)
        Path(scratch).replace(path)
    finally:
        Path(scratch).unlink(missing_ok=True)
    return path


def whole_graph(
    module: nn.Module, inputs: Mapping[str, tuple[int, ...]], outputs: Sequence[str]
) -> onnx.ModelProto:
    """The ONNX graph of an eval-mode module that torch.fx need not be able to trace.

    Args:
        module: takes a tensor for each input, gives a tensor or a tuple of tensors.
        inputs: shape of each input by its name.
        outputs: name of each output.

    Raises:
        ExportError: the module uses what ONNX cannot say.
    """
    content = io.BytesIO()
    _write(module, inputs, outputs, content)
    return onnx.load_from_string(content.getvalue())


def _write(
    module: nn.Module,
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Sequence[str],
    target: str | io.BytesIO,
) -> None:
    examples = tuple(torch.zeros(shape) for shape in inputs.values())
    with torch.inference_mode():
        result = module(*examples)
    count = 1 if isinstance(result, Tensor) else len(result)
    if count != len(outputs):
        raise ExportError(f'{type(module).__name__} has {count} outputs, not {list(outputs)}')
    try:
        with warnings.catch_warnings():
            # The exporter warns that a newer one exists, which needs one more library.
            warnings.simplefilter('ignore')
            torch.onnx.export(
                module,
                examples,
                target,  # type: ignore[arg-type]
                dynamo=False,
                opset_version=_OPSET,
                input_names=list(inputs),
                output_names=list(outputs),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ExportError(f'{type(module).__name__} cannot be written as ONNX: {error}') from error


def _content_hash(
    module: nn.Module, inputs: Mapping[str, tuple[int, ...]], outputs: Sequence[str]
) -> str:
    traced = module if isinstance(module, fx.GraphModule) else fx.symbolic_trace(module)
    digest = hashlib.sha256(f'{_FORMAT}/{_OPSET}/{torch.__version__}'.encode())
    digest.update(traced.code.encode())
    for name, child in sorted(traced.named_modules(), key=lambda pair: pair[0]):
        digest.update(f'{name}={child.extra_repr()}'.encode())
    digest.update(f'{[(name, tuple(shape)) for name, shape in inputs.items()]}'.encode())
    digest.update(f'{list(outputs)}'.encode())
    for name, tensor in sorted(traced.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
