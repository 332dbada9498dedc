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

"""Where the bundles lie that a robot fits itself: numbered folders, of which few are kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path


class FitFolders:
    """Bundles below one folder.

    Args:
        folder: the folder; made when the first bundle is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def next(self) -> Path:
        """A folder for another bundle, which is not there yet."""
        numbers = [int(path.name) for path in self._bundles()]
        return self._folder / f'{max(numbers, default=0) + 1:04d}'

    def drop(self, bundle: Path) -> None:
        """Remove a bundle, and what an interrupted fit of it left."""
        shutil.rmtree(bundle, ignore_errors=True)
        shutil.rmtree(bundle.with_name(f'{bundle.name}.work'), ignore_errors=True)

    def keep_only(self, used: Iterable[Path]) -> None:
        """Remove all bundles that nobody goes on or back to."""
        kept = {path.resolve() for path in used}
        for bundle in self._bundles():
            if bundle.resolve() not in kept:
                self.drop(bundle)

    def _bundles(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return [path for path in self._folder.iterdir() if path.is_dir() and path.name.isdigit()]
