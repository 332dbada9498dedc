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

"""What is known of a model: one that ships, one in the cache, one that somebody brought."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from e4_ros.paths import weights_dir
from e4_ros.perception.bundle_cache import bundles_dir, open_bundle
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import BundleError, Manifest, read_manifest
from e4_ros.vision.bundle.folder import MANIFEST
from e4_ros.vision.networks import Cut
from e4_ros.vision.networks.from_bundle import reopened
from e4_ros.vision.onnx_file import is_onnx_file

Where = Literal['ships', 'cache', 'given']

_FRAME = np.full((480, 640, 3), 114, np.uint8)
_LEAST_RUNS = 3


@dataclass(frozen=True)
class CutGroup:
    """The cuts of a network across which as many tensors are alive.

    Attributes:
        tensors: tensors that a cut carries from one stage to the next.
        count: number of cuts.
        deepest: largest share of the network's cost that lies before one of them, 0 to 1.
    """

    tensors: int
    count: int
    deepest: float


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model.

    Attributes:
        model: name of the network.
        bundle: folder of its bundle.
        where: ``ships``, ``cache`` or ``given``.
        task: ``detect``, ``classify`` or ``clips``.
        family: family of an ONNX file, as `e4 build --family` takes it; kind of decoder of others.
        input_size: height and width of its input, pixels.
        resizing: kind of its preprocessing.
        class_names: class names by label.
        macs: multiply-accumulates of one frame at full depth.
        exits: learnt exits.
        off: those of them that are switched off.
        precisions: precisions that it can run in.
        disk_bytes: bytes of the bundle's files.
        notes: what an ONNX file was recognised as, and how; empty for other models.
        cuts: places where it can be cut, by number of tensors; None where nobody looked, and for
            clip models, which are cut in their own way.
        full_ms: milliseconds of a frame at full depth on one CPU thread; None where it was not
            measured.
    """

    model: str
    bundle: Path
    where: Where
    task: str
    family: str
    input_size: tuple[int, int]
    resizing: str
    class_names: tuple[str, ...]
    macs: int
    exits: tuple[str, ...]
    off: tuple[str, ...]
    precisions: tuple[str, ...]
    disk_bytes: int
    notes: tuple[str, ...] = ()
    cuts: tuple[CutGroup, ...] | None = None
    full_ms: float | None = None


def shipped() -> list[Path]:
    """Folders of the bundles that ship with the package."""
    return _bundles_in(weights_dir())


def cached() -> list[Path]:
    """Folders of the bundles in the cache, as `open_bundle` leaves them there."""
    return _bundles_in(bundles_dir())


def facts_of(folder: Path, where: Where) -> ModelFacts:
    """What a bundle says of itself.

    Raises:
        BundleError: the folder is no bundle, or one that is damaged.
    """
    manifest = read_manifest(folder)
    height, width = manifest.preprocessing.size
    return ModelFacts(
        model=manifest.model,
        bundle=folder,
        where=where,
        task=manifest.task,
        family=manifest.origin.family or manifest.decoder.kind,
        input_size=(height, width),
        resizing=manifest.preprocessing.kind,
        class_names=manifest.class_names,
        macs=sum(stage.macs for stage in manifest.stages),
        exits=tuple(manifest.exit_names),
        off=tuple(n for n in manifest.exit_names if n not in manifest.thresholds),
        precisions=tuple(manifest.precisions),
        disk_bytes=sum(file.bytes for file in manifest.files),
        notes=manifest.origin.recognised,
    )


def look(model: str) -> ModelFacts:
    """What a model is, its cuts included; one that has no bundle yet gets one in the cache.

    Args:
        model: name of a network, an ONNX file, or the folder of a bundle.

    Raises:
        ModelError, BundleError, OSError: see `open_bundle`.
    """
    folder = open_bundle(model)
    facts = facts_of(folder, 'ships' if folder in shipped() else 'given')
    return replace(facts, cuts=_cuts(folder, read_manifest(folder)))


def timed(facts: ModelFacts, seconds: float = 1.0) -> ModelFacts:
    """The same with the time of a frame, 640×480, at full depth: preparing, network, decoding.

    Args:
        facts: what is known already.
        seconds: how long to measure; at least three frames are.

    Returns:
        The facts with the median, on one thread of the CPU.
    """
    options = EngineOptions(str(facts.bundle), exits=False, tracks=False, threads=1, device='cpu')
    engine = set_up(options).engine
    engine.process_full(_FRAME)
    taken: list[float] = []
    end_s = time.perf_counter() + seconds
    while len(taken) < _LEAST_RUNS or time.perf_counter() < end_s:
        begin_s = time.perf_counter()
        engine.process_full(_FRAME)
        taken.append(time.perf_counter() - begin_s)
    return replace(facts, full_ms=1e3 * statistics.median(taken))


def grouped(cuts: Sequence[Cut]) -> tuple[CutGroup, ...]:
    """Cuts by the number of tensors that they carry."""
    found = []
    for tensors in sorted({cut.tensors for cut in cuts}):
        shares = [cut.cost_share for cut in cuts if cut.tensors == tensors]
        found.append(CutGroup(tensors, len(shares), max(shares)))
    return tuple(found)


def models_in(text: str) -> list[str]:
    """The models that somebody means: one by its name or path, or all in a folder.

    Raises:
        BundleError: it is a folder without ONNX files and bundles.
    """
    path = Path(text).expanduser()
    if not path.is_dir() or (path / MANIFEST).is_file():
        return [text]
    found = [file for file in path.iterdir() if is_onnx_file(file.name)] + _bundles_in(path)
    if not found:
        raise BundleError(f'{path} holds neither ONNX files nor bundles')
    return sorted(map(str, found))


def _bundles_in(folder: Path) -> list[Path]:
    return sorted(manifest.parent for manifest in folder.glob(f'*/{MANIFEST}'))


def _cuts(folder: Path, manifest: Manifest) -> tuple[CutGroup, ...] | None:
    """Where `e4 fit` may cut it; None for a clip model, which is cut in its own way."""
    if manifest.clip is not None:
        return None
    cuts = reopened(folder).network.cuts()
    from_file = bool(manifest.origin.file)
    return grouped([cut for cut in cuts if from_file or cut.tensors == 1])
