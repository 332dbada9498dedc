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

"""A ring of key frames as a source: what perception kept, in order, with its own stamps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from e4_ros.evaluation.sources.base import Source, SourceError
from e4_ros.perception.image_file import ImageError
from e4_ros.perception.key_frame_ring import RingError, RingFile, ring_files
from e4_ros.perception.ring_entry import RingEntry, decode_entry


class RingSource(Source):
    """The entries of a ring, the oldest first.

    It may be read while perception writes to it. Entries that went meanwhile, and one that a power
    cut left behind, are dropped and counted.

    Args:
        folder: the ring.
        newest: only so many of the newest entries; None for all.
        after: only entries that are newer than this one; None for all.
        until: only entries that are not newer than this one; None for all.

    Attributes:
        files: where they are.

    Raises:
        SourceError: the folder is no ring, or there are no such entries.
    """

    def __init__(
        self,
        folder: Path,
        newest: int | None = None,
        after: RingFile | None = None,
        until: RingFile | None = None,
    ) -> None:
        super().__init__()
        self.name = folder.resolve().name
        try:
            files = ring_files(folder)
        except RingError as error:
            raise SourceError(str(error)) from None
        newer = [file for file in files if after is None or file > after]
        self.files = [file for file in newer if until is None or file <= until]
        if newest is not None:
            self.files = self.files[-newest:]
        if not self.files:
            raise SourceError(
                f'the ring {folder} holds no {"newer " if after else ""}frames: let perception run '
                'with ring_mb above 0, or `e4 run SOURCE --ring DIR`'
            )
        self.frame_count = len(self.files)
        self.fps = self._rate()

    def entries(self) -> Iterator[tuple[RingFile, np.ndarray, RingEntry]]:
        """File, frame and answer of each entry that can be read."""
        for file in self.files:
            try:
                frame, entry = decode_entry(file.path.read_bytes())
            except FileNotFoundError:  # the oldest go while they are read: nothing is wrong
                self.dropped += 1
                continue
            except (ImageError, OSError) as error:
                self._drop(f'{file.path.name}: {error}')
                continue
            yield file, frame, entry

    def _frames(self) -> Iterator[tuple[float, np.ndarray]]:
        for _, frame, entry in self.entries():
            yield entry.stamp_s, frame

    def _rate(self) -> float | None:
        """Frames a second, from the first two that are neighbours."""
        for one, other in zip(self.files, self.files[1:], strict=False):
            if (one.run, one.place + 1) != (other.run, other.place):
                continue
            try:
                stamps = [decode_entry(f.path.read_bytes())[1].stamp_s for f in (one, other)]
            except (ImageError, OSError):
                continue
            return 1 / (stamps[1] - stamps[0]) if stamps[1] > stamps[0] else None
        return None
