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

"""Pseudo-labelled footage in order of time, and which of it is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e4_ros.vision.detections import Detections

_HELD_OUT_FRAMES = 60  # about so many in a held-out segment; there are at least two of them
_SEGMENTS = (2, 20)


@dataclass(frozen=True)
class FootageSegment:
    """A part of a source.

    Attributes:
        frames: ``(H, W, 3)`` uint8 RGB of one size, in order of time.
        stamps_s: stamps of the frames in seconds.
        pseudo_labels: the teacher's detections of each frame.
        full: the full network's detections of each frame.
    """

    frames: list[np.ndarray]
    stamps_s: list[float]
    pseudo_labels: list[Detections]
    full: list[Detections]

    def __len__(self) -> int:
        return len(self.frames)

    def part(self, rows: Sequence[int]) -> FootageSegment:
        """Some of its frames."""
        return FootageSegment(
            [self.frames[i] for i in rows],
            [self.stamps_s[i] for i in rows],
            [self.pseudo_labels[i] for i in rows],
            [self.full[i] for i in rows],
        )

    @property
    def shows_objects(self) -> bool:
        """Whether the teacher is sure of anything in it."""
        return any(len(detections.above(0.5)) for detections in self.pseudo_labels)


@dataclass(frozen=True)
class HoldoutSplit:
    """A source with held-out segments.

    Attributes:
        source: the whole source.
        learn: indices of the frames to train on.
        held_out: indices of the frames of each held-out segment.
    """

    source: FootageSegment
    learn: list[int]
    held_out: list[range]

    @property
    def training(self) -> FootageSegment:
        """What is learned from, as one."""
        return self.source.part(self.learn)

    @property
    def validation(self) -> FootageSegment:
        """What is held out, as one."""
        return self.source.part([i for rows in self.held_out for i in rows])


def part(source: FootageSegment, share: float) -> HoldoutSplit:
    """Hold out a share of a source, in stretches that are spread evenly over it.

    Whole stretches, because neighbouring frames say nearly the same; several of them, because what
    a robot sees at the end of a drive is not what it saw on the way.
    """
    ranges = held_out_ranges(len(source), share)
    kept = {i for rows in ranges for i in rows}
    return HoldoutSplit(source, [i for i in range(len(source)) if i not in kept], ranges)


def held_out_ranges(total: int, share: float) -> list[range]:
    """Indices of the frames of each stretch that `part` holds out of so many."""
    held = round(total * share)
    segments = int(np.clip(round(held / _HELD_OUT_FRAMES), *_SEGMENTS))
    length = held // segments
    starts = [round((k + 0.75) * total / segments - length / 2) for k in range(segments)]
    return [range(max(start, 0), min(start + length, total)) for start in starts]


def frame_marks(frames: Sequence[np.ndarray]) -> str:
    """Eight hexadecimal digits for each frame, to know it again by."""
    return ''.join(frame_mark(frame) for frame in frames)


def frame_mark(frame: np.ndarray) -> str:
    """Of every fourth pixel of every fourth row."""
    pixels = np.ascontiguousarray(frame[::4, ::4])
    return hashlib.blake2b(pixels.tobytes(), digest_size=4).hexdigest()


def seen_share(frames: Sequence[np.ndarray], marks: str) -> float:
    """Share of the frames whose mark is among those of `frame_marks`."""
    known = {marks[i : i + 8] for i in range(0, len(marks), 8)}
    return float(np.mean([frame_mark(frame) in known for frame in frames]))
