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

"""An ONNX file as a model that can be cut, fitted and packed like one of the zoo."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import onnxruntime

from e4_ros.vision.networks.onnx_network import OnnxNetwork
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.onnx_edit import keep_outputs, rename
from e4_ros.vision.onnx_file.facts import Wishes, gather
from e4_ros.vision.onnx_file.image_input import open_size
from e4_ros.vision.onnx_file.prepare import prepare
from e4_ros.vision.onnx_file.read import content_hash, read_onnx
from e4_ros.vision.onnx_file.recognise import Recognised, recognise


def understand(path: Path, wishes: Wishes | None = None) -> Recognised:
    """Find out what a file holds.

    Args:
        path: the ONNX file; a sidecar of the same name with .yaml may lie beside it.
        wishes: what is known better than the file says.

    Raises:
        OnnxFileError: it is no ONNX file, no detector or classifier, or something about it must be
            said; the message says what, and how.
    """
    model = read_onnx(path)
    facts = gather(model, path, wishes)
    size = facts.size_if_open if open_size(model) else facts.input_size
    return recognise(prepare(model, size), facts)


def load_onnx(path: Path, wishes: Wishes | None = None) -> TrainableModel:
    """A model of a file, under a name that no other file's model has.

    Args:
        path: the ONNX file.
        wishes: what is known better than the file says.

    Raises:
        OnnxFileError: as `understand`.
    """
    return model_of(understand(path, wishes), path)


def file_key(path: Path, wishes: Wishes | None = None) -> str:
    """Changes with all that a model of a file is made from.

    Raises:
        OnnxFileError: the file, its sidecar or its names cannot be read.
    """
    model = read_onnx(path)
    facts = gather(model, path, wishes)
    return repr((content_hash(model), facts, onnxruntime.__version__, _code()))


@cache
def _code() -> str:
    """Hash of the code that reads files: read in another way, a file is another model."""
    digest = hashlib.sha256()
    for room in ('models', 'networks', 'onnx_file'):
        for source in sorted(Path(__file__).parents[1].joinpath(room).rglob('*.py')):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def model_of(found: Recognised, path: Path) -> TrainableModel:
    """The model of a file that was understood.

    Args:
        found: what the file holds.
        path: the file.

    Raises:
        OnnxFileError: the file is gone or another by now.
    """
    graph = found.model
    keep_outputs(graph, found.outputs.values())
    rename(graph, {tensor: name for name, tensor in found.outputs.items() if tensor != name})
    weights = content_hash(read_onnx(path))[:16]
    return TrainableModel(
        f'{path.stem}-{weights[:8]}',
        found.task,
        found.class_names,
        found.preprocessing,
        found.decoder,
        OnnxNetwork(graph, weights),
        path.name,
        found.labels,
        found.family,
        found.notes,
    )
