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

"""A bundle in memory: all that an engine needs, read once and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e4_ros.paths import weights_dir
from e4_ros.vision.bundle.folder import read_file, read_manifest
from e4_ros.vision.bundle.manifest import BundleError, FileEntry, Manifest, ProgramEntry
from e4_ros.vision.bundle.program import StoredProgram
from e4_ros.vision.class_map import ClassMap
from e4_ros.vision.clip_network import ClipNetwork
from e4_ros.vision.models.described import DescribedModel
from e4_ros.vision.runtime.precision import FP32, PrecisionError, check_precision
from e4_ros.vision.staged_network import Part, StagedNetwork, Work

_TRIES = 3  # while somebody replaces the bundle


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read.

    Nothing of it is read again: what becomes of its folder later does not matter.

    Attributes:
        path: the folder that it was read from.
        manifest: manifest of the bundle.
        parts: the network, its exits and their thresholds; a clip network for the task ``clips``.
    """

    path: Path
    manifest: Manifest
    parts: StagedNetwork | ClipNetwork

    @property
    def network(self) -> StagedNetwork:
        """The network of a task on single frames.

        Raises:
            BundleError: the bundle is a clip model's.
        """
        self.manifest.check_single_frames()
        assert isinstance(self.parts, StagedNetwork), 'the task says which it is'
        return self.parts


def load_bundle(path: Path, precision: str = FP32) -> Bundle:
    """Read a bundle whole, and check it.

    Args:
        path: the bundle's folder; nothing is written there.
        precision: precision of the stages, one that the bundle has.

    Raises:
        BundleError: the folder is no bundle, or it is cut, edited, or of another version.
        PrecisionError: the bundle does not have the precision.
    """
    check_precision(precision)
    manifest = read_manifest(path)
    for _ in range(_TRIES):
        try:
            return Bundle(path, manifest, _parts(path, manifest, precision))
        except BundleError:
            before, manifest = manifest, read_manifest(path)
            if before == manifest:
                raise
    raise BundleError(f'the bundle {path} is being replaced again and again; try once more')


def shipped_bundle(name: str) -> Path:
    """Folder of a bundle that ships with the package, whether there is one of that name or not."""
    return weights_dir() / name


def find_bundle(name: str) -> Path | None:
    """The bundle that somebody means: one that ships, by its name, or a folder.

    Args:
        name: name of a shipped bundle, or path of a folder.

    Returns:
        None where there is neither.
    """
    if name and '/' not in name and (shipped_bundle(name) / 'bundle.json').is_file():
        return shipped_bundle(name)
    path = Path(name).expanduser()
    return path if name and path.exists() else None


def described_model(manifest: Manifest) -> DescribedModel:
    """What comes before a bundle's network, and after it."""
    return DescribedModel(
        manifest.model,
        manifest.task,
        manifest.class_names,
        manifest.preprocessing,
        manifest.decoder,
        manifest.labels,
    )


def _parts(path: Path, manifest: Manifest, precision: str) -> StagedNetwork | ClipNetwork:
    if precision not in manifest.precisions:
        raise PrecisionError(
            f'the bundle {path} does not have {precision}, only {", ".join(manifest.precisions)}: '
            f'run `e4 precision FOOTAGE --model {path} --out DIR`. It makes it, measures it, and '
            'keeps it in DIR if it is faster and says the same'
        )
    stages = [
        _part(path, entry, entry.file if precision == FP32 else entry.reduced[precision])
        for entry in manifest.stages
    ]
    if (clip := manifest.clip) is not None:
        return ClipNetwork(
            described_model(manifest),
            stages[0],
            stages[1],
            clip.frames,
            clip.window_s,
            manifest.thresholds,
        )
    calibration, temporal = manifest.calibration, manifest.temporal
    return StagedNetwork(
        model=described_model(manifest),
        stages=stages,
        exits=[_part(path, entry, entry.file) for entry in manifest.exits],
        temporal=None if temporal is None else _part(path, temporal, temporal.file),
        thresholds=manifest.thresholds,
        audit_bounds=calibration.audit_bounds,
        confidence=calibration.confidence,
        rates=calibration.rates,
        weights=manifest.origin.network,
    )


def _part(path: Path, entry: ProgramEntry, file: FileEntry) -> Part:
    program = StoredProgram(entry.name, entry.inputs, tuple(entry.outputs), read_file(path, file))
    return Part(program, Work(entry.macs, entry.bytes_moved, entry.layers), ClassMap(entry.labels))
