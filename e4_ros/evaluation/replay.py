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

"""Drive frames through a perceiver, beside the full network where the run compares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from e4_ros.evaluation.report.video_writer import VideoWriter
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.records import FrameRecord
from e4_ros.vision.inference.stream_engine import StreamEngine

StampedFrames = Iterable[tuple[float, np.ndarray]]


def replay(
    frames: StampedFrames,
    perceiver: Perceiver,
    full: StreamEngine | None = None,
    limit: int | None = None,
    on_record: Callable[[FrameRecord], None] | None = None,
    check_pay: bool = False,
) -> list[FrameRecord]:
    """Process frames in order, each when the one before is done.

    With `full` every frame also runs through the full network, which costs about its latency
    again. Which of the two goes first alternates, so that neither always finds warm caches.

    Args:
        frames: Pairs of stamp in seconds and frame ``(H, W, 3)`` uint8 RGB; `KeyboardInterrupt`
            ends the run, and the records so far are returned.
        perceiver: Perceiver that processes the frames.
        full: Engine without exits, uncut; None for no comparison.
        limit: Largest number of frames; None for all.
        on_record: Function called with the record of each frame.
        check_pay: Whether to disable exits that do not pay, as measured on the first frame.

    Returns:
        One record for each frame.
    """
    records: list[FrameRecord] = []
    try:
        for index, (stamp_s, frame) in enumerate(islice(frames, limit)):
            if not index:
                _warm_up(perceiver, full, frame, check_pay)
            records.append(_answer(perceiver, full, frame, stamp_s, index))
            perceiver.audit(frame, records[-1])
            if on_record is not None:
                on_record(records[-1])
    except KeyboardInterrupt:
        if not records:
            raise
    return records


def recorded(frames: StampedFrames, path: Path, fps: float) -> Iterator[tuple[float, np.ndarray]]:
    """Pass frames on and save them to a video: for a camera, which cannot be read again."""
    with VideoWriter(path, fps, quality=18) as video:
        for stamp_s, frame in frames:
            video.write(frame)
            yield stamp_s, frame


def _answer(
    perceiver: Perceiver, full: StreamEngine | None, frame: np.ndarray, stamp: float, index: int
) -> FrameRecord:
    if full is None:
        return perceiver.process(frame, stamp, index)
    if index % 2:
        reference = full.process(frame, stamp)
        return replace(perceiver.process(frame, stamp, index), full=reference)
    record = perceiver.process(frame, stamp, index)
    return replace(record, full=full.process(frame, stamp))


def _warm_up(
    perceiver: Perceiver, full: StreamEngine | None, frame: np.ndarray, check_pay: bool
) -> None:
    perceiver.warm_up(frame, check_pay=check_pay)
    if full is not None:
        Perceiver(full).warm_up(frame)
