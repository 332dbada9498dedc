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

"""A bundle that looks like another and answers differently: what a server must not be taken for."""

from __future__ import annotations

from pathlib import Path

from e4_ros.perception.bundle_cache import open_bundle
from e4_ros.vision.bundle.folder import read_manifest, save_changed

_DARKER = 1.02


def other_bundle(model: str, folder: Path) -> Path:
    """Write a copy of a bundle that sees every picture a little darker.

    Args:
        model: name or path of the bundle.
        folder: where the copy goes.
    """
    path = open_bundle(model)
    manifest = read_manifest(path)
    seen = manifest.preprocessing
    mean = tuple(value * _DARKER for value in seen.mean)
    changed = seen.model_copy(update={'mean': mean})
    return save_changed(path, manifest.model_copy(update={'preprocessing': changed}), {}, folder)
