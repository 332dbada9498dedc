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

"""Write a bundle: a network and its exits as ONNX files, with all that is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from e4_ros.vision.bundle.folder import entry_of, write_bundle
from e4_ros.vision.bundle.manifest import Manifest, Origin, ProgramEntry, StageEntry
from e4_ros.vision.staged_network import Part, StagedNetwork

if TYPE_CHECKING:
    from e4_ros.vision.networks.trainable import TrainableModel


def build_plain(model: TrainableModel, folder: Path) -> Manifest:
    """Write the bundle of a network without learnt exits; needs no torch for a network of a file.

    Args:
        model: the network.
        folder: the bundle's folder; a bundle that is there is replaced.

    Returns:
        What was written.

    Raises:
        StageError: the network cannot be written as one stage.
        BundleError: the folder holds something else.
        OSError: it cannot be written.
    """
    files: dict[str, bytes] = {}
    manifest = manifest_of(model, model.staged(), files)
    write_bundle(folder, manifest, files)
    return manifest


def manifest_of(
    model: TrainableModel, network: StagedNetwork, files: dict[str, bytes], **further: Any
) -> Manifest:
    """What `bundle.json` says of a network.

    Args:
        model: what comes before the network, and after it.
        network: its stages, its temporal exit and thresholds.
        files: gets the content of the files, by name.
        further: more fields of the manifest.
    """
    temporal = network.temporal
    fields = {
        'model': model.name,
        'task': model.task,
        'class_names': tuple(model.class_names),
        'labels': tuple(model.labels),
        'preprocessing': model.preprocessing,
        'decoder': model.decoder,
        'stages': tuple(StageEntry(**program_entry(part, files)) for part in network.stages),
        'temporal': None if temporal is None else ProgramEntry(**program_entry(temporal, files)),
        'thresholds': dict(network.thresholds),
        'origin': origin_of(model),
    }
    return Manifest(**fields | further)


def origin_of(model: TrainableModel, notes: Mapping[str, Any] | None = None) -> Origin:
    """Where a bundle that is written now comes from.

    Args:
        model: the network that it is made from.
        notes: further facts about the origin.
    """
    return Origin(
        made_by=f'e4_ros {_version()}',
        made_at=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        network=model.network.fingerprint,
        file=model.file,
        family=model.family,
        recognised=model.recognised,
        notes=dict(notes or {}),
    )


def program_entry(part: Part, files: dict[str, bytes]) -> dict[str, Any]:
    """The fields of a part's `ProgramEntry`; its ONNX file is added to ``files``, by name."""
    content = part.program.onnx()
    file = entry_of(part.name, '.onnx', content)
    files[file.name] = content
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(content, options, providers=['CPUExecutionProvider'])
    return {
        'name': part.name,
        'file': file,
        'inputs': {name: tuple(shape) for name, shape in part.program.inputs.items()},
        'outputs': {slot.name: tuple(slot.shape) for slot in session.get_outputs()},
        'macs': part.work.macs,
        'bytes_moved': part.work.bytes_moved,
        'layers': part.work.layers,
        'labels': part.classes.labels,
    }


def _version() -> str:
    try:
        return metadata.version('e4_ros')
    except metadata.PackageNotFoundError:
        return 'of a checkout'
