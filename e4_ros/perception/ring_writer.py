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

"""Writes frames and their answers into a ring, beside the frames to come, never before them."""

from __future__ import annotations

import logging
import os
import queue
import threading

import numpy as np

from e4_ros.perception.image_file import ImageError
from e4_ros.perception.key_frame_ring import KeyFrameRing
from e4_ros.perception.records import FrameRecord
from e4_ros.perception.ring_entry import RingEntry, encode_entry
from e4_ros.perception.ring_schedule import DEFAULT_SHARE, RunSchedule

_WAITING = 8  # frames that may wait for the disk; each is a whole picture in memory
# Above the frames', but not the highest: a thread that holds the interpreter's lock and gets no CPU
# because others are busy would hold up the frames that it is to make way for.
_NICENESS = 5

_log = logging.getLogger(__name__)


class RingWriter:
    """Hands frames whose answers are out to a thread that writes them.

    A disk that is slow, full or read-only loses entries, which are counted, and never a frame.

    Args:
        ring: where they go; it is closed with the writer.
        share: share of the time that is kept.

    Attributes:
        kept: entries that were written.
        lost: entries that could not be.
        problem: why the last one could not; empty while all is well.
    """

    def __init__(self, ring: KeyFrameRing, share: float = DEFAULT_SHARE) -> None:
        self.ring = ring
        self.kept = self.lost = 0
        self.problem = ''
        self._schedule = RunSchedule(share)
        self._run, self._place = ring.next_run, 0
        self._told, self._closed = '', False
        self._queue: queue.Queue[_Item | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name='ring-writer', daemon=True)
        self._thread.start()

    def offer(
        self, frame: np.ndarray, record: FrameRecord, frame_id: str = '', wait: bool = False
    ) -> None:
        """Leave a frame for the ring, if it is one to keep; never waits unless told to.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB; it must not be changed afterwards.
            record: what came of it.
            frame_id: the camera's frame, of the image's header.
            wait: wait for the disk; for footage, which has time.
        """
        kept, begins = self._schedule.keeps(record.stamp_s, frame.shape)
        if not kept or self._closed:
            return
        if begins and self._place:
            self._run, self._place = self._run + 1, 0
        result = record.result
        entry = RingEntry(record.stamp_s, result.exit, result.detections, frame_id)
        # What is lost keeps its place, so that its neighbours are not taken for each other's.
        place, self._place = self._place, self._place + 1
        try:
            self._queue.put((self._run, place, frame, entry), block=wait)
        except queue.Full:
            self._lose('the disk is slower than the camera')

    def facts(self) -> dict[str, object]:
        """For diagnostics."""
        return {
            'ring': str(self.ring.folder),
            'ring_mb': f'{self.ring.bytes / 1e6:.1f}',
            'ring_entries': len(self.ring),
            'ring_lost': self.lost,
        }

    def flush(self) -> None:
        """Wait until everything that was left is written."""
        self._queue.join()

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, end the thread, give the ring free; what comes later is not kept."""
        if self._closed:
            return
        self._closed = True
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            return  # the disk hangs: the thread, and its lock on the ring, end with the process
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self.ring.close()

    def _work(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while (item := self._queue.get()) is not None:
            run, place, frame, entry = item
            try:
                self.ring.put(run, place, encode_entry(frame, entry))
            except (OSError, ImageError) as error:
                self._lose(getattr(error, 'strerror', None) or str(error))
            else:
                self.kept += 1
                self.problem = self._told = ''
            finally:
                self._queue.task_done()
        self._queue.task_done()

    def _lose(self, why: str) -> None:
        """Count an entry that is lost, and say why once."""
        self.lost += 1
        self.problem = f'frames are missing from the ring {self.ring.folder}: {why}'
        if self.problem != self._told:
            self._told = self.problem
            _log.warning('%s; answers go on', self.problem)


_Item = tuple[int, int, np.ndarray, RingEntry]
