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

"""A folder of images, in the order a person would number them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from e4_ros.evaluation.sources.base import Source, SourceError
from e4_ros.perception.image_file import ImageError, decode

_SUFFIXES = {'.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff', '.ppm', '.pgm'}


class FolderSource(Source):
    """Images of one folder; ``frame2.png`` comes before ``frame10.png``."""

    def __init__(self, path: Path, fps: float = 10.0) -> None:
        super().__init__()
        if fps <= 0:
            raise SourceError(f'the frame rate is {fps}; it must be above 0')
        self.name = path.resolve().name
        self.fps = fps
        self._files = sorted(
            # Reading a pipe would wait for somebody to write into it.
            (f for f in path.iterdir() if f.suffix.lower() in _SUFFIXES and not f.is_fifo()),
            key=_natural,
        )
        if not self._files:
            below = sorted(f.name for f in path.iterdir() if f.is_dir() and _holds_images(f))
            hint = f'; {", ".join(below[:3])} in it does: name that' if below else ''
            raise SourceError(
                f'the folder {path} holds no images ({", ".join(sorted(_SUFFIXES))}) '
                f'and is no bag (no metadata.yaml, .mcap or .db3 in it){hint}'
            )
        self.frame_count = len(self._files)

    def _frames(self) -> Iterator[tuple[float, np.ndarray]]:
        assert self.fps
        for index, file in enumerate(self._files):
            try:
                frame = decode(file.read_bytes())
            except (ImageError, OSError) as error:
                self._drop(f'{file.name}: {error}')
                continue
            yield index / self.fps, frame


def _holds_images(folder: Path) -> bool:
    return any(file.suffix.lower() in _SUFFIXES for file in folder.iterdir())


def _natural(file: Path) -> list[tuple[int, str]]:
    """Sort key that compares runs of digits as numbers."""
    parts = re.findall(r'\d+|\D+', file.name)
    return [(int(part), '') if part.isdigit() else (-1, part) for part in parts]
