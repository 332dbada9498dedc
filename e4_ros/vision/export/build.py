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

"""Bundles with exits: written from torch modules, and turned into these again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e4_ros.vision.bundle.bundle import described_model
from e4_ros.vision.bundle.folder import entry_of, read_file, write_bundle
from e4_ros.vision.bundle.manifest import (
    BundleError,
    Calibration,
    ExitEntry,
    FileEntry,
    Manifest,
)
from e4_ros.vision.exit_checkpoint import Checkpoint, load_bytes
from e4_ros.vision.export.assemble import assemble
from e4_ros.vision.networks.to_bundle import manifest_of, origin_of, program_entry
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.staged_network import StagedNetwork
from e4_ros.vision.zoo import load_model

_OF_CALIBRATION = ('risk', 'confidence', 'against', 'precision', 'mean_loss', 'blocks', 'rates')


def build_bundle(
    model: TrainableModel, folder: Path, checkpoint: Checkpoint | None = None
) -> Manifest:
    """Write the bundle of a network.

    Args:
        model: the network.
        folder: the bundle's folder; a bundle that is there is replaced.
        checkpoint: fitted exits; None without any.

    Returns:
        What was written.

    Raises:
        StageError, ExportError: the network cannot be cut or written as ONNX.
        BundleError: the folder holds something else.
        OSError: it cannot be written.
    """
    network = assemble(model, checkpoint)
    files: dict[str, bytes] = {}
    exits = checkpoint.exits if checkpoint is not None else []
    notes = checkpoint.notes if checkpoint is not None else {}
    manifest = manifest_of(
        model,
        network,
        files,
        exits=tuple(
            ExitEntry(cut=found.cut, **program_entry(part, files))
            for found, part in zip(exits, network.exits, strict=True)
        ),
        calibration=calibration_of(notes),
        checkpoint=None if checkpoint is None else _keep('exits', checkpoint, files),
        origin=origin_of(model, notes_of(notes)),
    )
    write_bundle(folder, manifest, files)
    return manifest


def calibration_of(notes: Mapping[str, Any]) -> Calibration:
    """What a checkpoint's notes say of its calibration."""
    found = {key: notes[key] for key in _OF_CALIBRATION if key in notes}
    bounds = {name: bound['bound'] for name, bound in notes.get('audit', {}).items()}
    return Calibration(**found, audit_bounds=bounds)


def notes_of(notes: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint's notes say besides."""
    return {key: value for key, value in notes.items() if key not in (*_OF_CALIBRATION, 'audit')}


def trainable(folder: Path, manifest: Manifest) -> tuple[TrainableModel, Checkpoint]:
    """A bundle's network and exits as torch modules, with the bundle's thresholds and notes.

    Raises:
        BundleError: the bundle is a clip model's, the zoo has other weights by now, or the
            checkpoint is missing or damaged.
        ModelError: the zoo does not have the network.
    """
    manifest.check_single_frames()
    if manifest.origin.file:
        raise BundleError(
            f'{manifest.model} came in a file, {manifest.origin.file}, and is no torch module: '
            'only networks of the zoo run in the runtime torch'
        )
    model = load_model(manifest.model, **_size(manifest))
    if model.network.fingerprint != manifest.origin.network:
        raise BundleError(
            f'the bundle {folder} was made from other weights of {manifest.model!r} than the zoo '
            'has here: make it again with `e4 build`'
        )
    if manifest.labels:
        model = model.narrowed(manifest.class_names)
    if manifest.checkpoint is None:
        fitted = Checkpoint(model.name, manifest.origin.network)
    else:
        fitted = load_bytes(read_file(folder, manifest.checkpoint), str(folder), model)
    fitted.thresholds = dict(manifest.thresholds)
    fitted.notes = dict(manifest.origin.notes)
    return model, fitted


def reference_network(folder: Path, manifest: Manifest, exits: bool = True) -> StagedNetwork:
    """A bundle's network as torch modules, for the reference runtime.

    Args:
        folder: folder of the bundle.
        manifest: manifest of the bundle.
        exits: whether to include the exits; False for the network alone, uncut.

    Raises:
        BundleError, ModelError: see `trainable`.
    """
    model, fitted = trainable(folder, manifest)
    with_exits = exits and manifest.checkpoint is not None
    network = assemble(model, fitted if with_exits else None)
    calibration = manifest.calibration
    return StagedNetwork(
        described_model(manifest),
        network.stages,
        network.exits,
        network.temporal,
        manifest.thresholds,
        calibration.audit_bounds,
        calibration.confidence,
        calibration.rates,
        manifest.origin.network,
    )


def _size(manifest: Manifest) -> dict[str, Any]:
    return {'input_size': manifest.preprocessing.size} if manifest.task == 'detect' else {}


def _keep(stem: str, checkpoint: Checkpoint, files: dict[str, bytes]) -> FileEntry:
    content = checkpoint.to_bytes()
    entry = entry_of(stem, '.safetensors', content)
    files[entry.name] = content
    return entry
