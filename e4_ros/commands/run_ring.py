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

"""What `e4 run --ring` adds: the frames of a run go into a ring, as perception keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from e4_ros import console

if TYPE_CHECKING:
    import numpy as np

    from e4_ros.evaluation.replay import StampedFrames
    from e4_ros.perception.records import FrameRecord


class RingTap:
    """Keeps the frames that pass, once they are answered.

    Args:
        folder: the ring.
        limit_mb: megabytes that it takes at most.
        share: share of the time that is kept.

    Raises:
        OSError: it cannot be written to, or another process does.
        ValueError: the folder is something else.
    """

    def __init__(self, folder: Path, limit_mb: int, share: float) -> None:
        from e4_ros.perception.key_frame_ring import KeyFrameRing
        from e4_ros.perception.ring_writer import RingWriter

        self._writer = RingWriter(KeyFrameRing(folder, limit_mb), share)
        self._newest: np.ndarray | None = None

    def frames(self, frames: StampedFrames) -> Iterator[tuple[float, np.ndarray]]:
        """The same frames."""
        for stamp_s, frame in frames:
            self._newest = frame
            yield stamp_s, frame

    def keep(self, record: FrameRecord) -> None:
        """The newest frame is answered; wait for the disk, footage has time."""
        assert self._newest is not None
        self._writer.offer(self._newest, record, wait=True)

    def __enter__(self) -> RingTap:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        writer, folder = self._writer, self._writer.ring.folder
        writer.close()
        megabytes = writer.ring.bytes / 1e6
        console.note(f'the ring {folder} holds {len(writer.ring)} frames, {megabytes:.0f} MB')
