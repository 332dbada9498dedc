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

"""A ring as footage: clips to fit exits to, and newer ones to judge them by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from e4_ros.evaluation.sources.base import SourceError
from e4_ros.evaluation.sources.ring import RingSource
from e4_ros.perception.key_frame_ring import RingFile
from e4_ros.vision.calibration.calibrate import Promise
from e4_ros.vision.calibration.learn_then_test import blocks_needed
from e4_ros.vision.detections import Detections

MOST_FRAMES = 3000
"""Of a ring, in memory at once."""

LEAST_LEARNED = 100
"""Frames that a fit is to have where the newest are held back from it."""

_GAP_S = 1.0  # put between runs whose stamps do not rise: of two drives, or clocks that were set
# The fewest blocks certify only answers that lose nothing at all; 2.5 times as many, a third of the
# risk on average.
_SPARE = 2.5


@dataclass(frozen=True)
class RingFootage:
    """What was read of a ring.

    Attributes:
        clips: for each image size ``(stamp_s, frame)`` in order of time, stamps rising.
        answers: what perception published, in the order of the clips' frames.
        newest: file of the newest entry.
    """

    clips: list[list[tuple[float, np.ndarray]]]
    answers: list[Detections]
    newest: RingFile

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.answers)


def read_footage(source: RingSource, least: int = 1) -> RingFootage:
    """Read the entries of a ring; runs follow each other in one clip, as cuts do in a video.

    Args:
        source: the entries.
        least: image sizes with fewer frames are left out.

    Raises:
        SourceError: not one entry can be read.
    """
    clips: dict[tuple[int, ...], list[tuple[float, np.ndarray]]] = {}
    answers: dict[tuple[int, ...], list[Detections]] = {}
    shifts: dict[tuple[int, ...], float] = {}
    newest: RingFile | None = None
    for file, frame, entry in source.entries():
        newest = file
        clip = clips.setdefault(frame.shape, [])
        shift = shifts.get(frame.shape, 0.0)
        if clip and entry.stamp_s + shift <= clip[-1][0]:
            shift = shifts[frame.shape] = clip[-1][0] + _GAP_S - entry.stamp_s
        clip.append((entry.stamp_s + shift, frame))
        answers.setdefault(frame.shape, []).append(entry.detections)
    if newest is None:
        raise SourceError(f'not one entry of the ring {source.name} can be read')
    kept = [shape for shape, clip in clips.items() if len(clip) >= least]
    return RingFootage(
        [clips[shape] for shape in kept],
        [answer for shape in kept for answer in answers[shape]],
        newest,
    )


def frames_to_certify(source: RingSource, promise: Promise) -> int:
    """About how many frames of a ring a promise takes, if early answers lose little."""
    period_s = 1 / (source.fps or 10.0)
    block = max(round(promise.block_s / period_s), 1) + round(promise.gap_s / period_s)
    return math.ceil(_SPARE * blocks_needed(promise.risk, promise.confidence) * block)


def held_back(ring: Path, promise: Promise) -> RingFile:
    """The newest file to learn from where nothing newer will come: the rest is to certify by.

    Raises:
        SourceError: the folder is no ring, or too little is in it for both.
    """
    source = RingSource(ring)
    needed = frames_to_certify(source, promise)
    files = source.files
    if len(files) < needed + LEAST_LEARNED:
        raise SourceError(
            f'the ring {ring} holds {len(files)} frames, and nobody writes to it: certifying takes '
            f'about {needed}, and learning {LEAST_LEARNED} at least. Record more, or allow a '
            'higher risk'
        )
    return files[-needed - 1]
