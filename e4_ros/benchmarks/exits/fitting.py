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

"""Exits fitted for the benchmark by `e4 fit`, once, and kept in the cache."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from e4_ros.benchmarks.exits.footage import FIT
from e4_ros.benchmarks.exits.streams import Stream
from e4_ros.paths import cache_dir
from e4_ros.vision.bundle import BundleError, load_bundle
from e4_ros.vision.networks.trainable import TrainableModel


class FittingError(OSError):
    """`e4 fit` failed; says with what."""


def fitted(
    model: TrainableModel, source: str, refit: bool, progress: Callable[[float], None]
) -> Path:
    """The bundle with exits for frames `FIT` of a source; fitted if it is not there.

    Args:
        model: the detector.
        source: what `e4 fit` reads.
        refit: whether to fit even what is there.
        progress: called twice a second with the seconds since the fit began.

    Raises:
        FittingError: `e4 fit` failed.
    """
    path = path_of(model, source)
    if not refit and _usable(path, model):
        return path
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, '-m', 'e4_ros.cli', *command(model, source, path)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        said = None
        while said is None:
            try:
                said, _ = process.communicate(timeout=0.5)
            except subprocess.TimeoutExpired:
                progress(time.perf_counter() - began)
    finally:
        process.terminate()
    if process.returncode:
        last = said.strip()[-2000:]
        raise FittingError(f'`e4 fit {source}` ended with {process.returncode}: {last}')
    path.with_suffix('.seconds').write_text(f'{time.perf_counter() - began:.1f}')
    return path


def fit_seconds(path: Path) -> float | None:
    """How long the fit of a bundle took; None where that is not known."""
    kept = path.with_suffix('.seconds')
    return float(kept.read_text()) if kept.is_file() else None


def command(model: TrainableModel, source: str, out: Path) -> list[str]:
    """What a user would type, without the leading `e4`."""
    frames = str(FIT[1] - FIT[0])
    return ['fit', source, '--frames', frames, '--model', model.name, '--out', str(out)]


def path_of(model: TrainableModel, source: str) -> Path:
    """Where exits are kept: another file for another network or other footage."""
    key = (model.network.fingerprint, source, FIT)
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).hexdigest()
    folder = cache_dir() / 'bench'
    folder.mkdir(exist_ok=True)
    return folder / f'{digest}.bundle'


def as_folder(stream: Stream) -> Path:
    """The first frames of a stream, for `FIT`, as a folder of images in the cache."""
    folder = cache_dir() / 'bench' / stream.name.replace(' ', '_')
    folder.mkdir(parents=True, exist_ok=True)
    for index, (_, frame) in enumerate(stream.clip[slice(*FIT)]):
        path = folder / f'{index:04}.png'
        if not path.is_file():
            cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return folder


def _usable(path: Path, model: TrainableModel) -> bool:
    """Whether it is there, whole, and in the format of this version."""
    try:
        return load_bundle(path).manifest.model == model.name
    except BundleError:
        return False
