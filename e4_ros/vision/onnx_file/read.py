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

"""Open an ONNX file that somebody made elsewhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from e4_ros.vision.model import ModelError


class OnnxFileError(ModelError):
    """A file is no ONNX model that can be used; the message says what to do."""


def read_onnx(path: Path) -> onnx.ModelProto:
    """Read a file with its weights, those in files beside it included.

    Raises:
        OnnxFileError: it is missing, no ONNX model, cut, or lacks the files with its weights.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError:
        raise OnnxFileError(f'there is no file {path}') from None
    except OSError as error:
        raise OnnxFileError(f'{path} cannot be read: {error.strerror or error}') from error
    except (DecodeError, ValueError) as error:
        raise OnnxFileError(
            f'{path} is no ONNX model, or it was cut on the way: export or copy it again. A '
            'checkpoint of PyTorch (.pt, .pth) has to be exported first'
        ) from error
    if not model.graph.node:
        raise OnnxFileError(f'{path} is no ONNX model, or an empty one: it has no operations')
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # onnx raises what its C++ half does
        raise OnnxFileError(
            f'the weights of {path} lie in a file of their own, which is missing or cut ('
            f'{error}): copy the files beside it, too, or save it in one'
        ) from error
    return model


def content_hash(model: onnx.ModelProto) -> str:
    """Hash of a file's content and of the files with its weights.

    Args:
        model: as `read_onnx` gives it.
    """
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
