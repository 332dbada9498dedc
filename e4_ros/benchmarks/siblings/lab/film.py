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

"""Footage as a camera hands it over: whole frames in memory, without decoding, for ever.

The frames run forth and back, so that the scene never jumps and every frame keeps its labels. They
lie in a file that has no name any more, which other processes of ours map: it is gone with us.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from e4_ros.evaluation.datasets.mot import read_mot
from e4_ros.evaluation.metrics import Labels
from e4_ros.evaluation.metrics.counts import Counts, match_frame, of_classes
from e4_ros.evaluation.sources import SourceError, open_source
from e4_ros.vision.detections import Detections

Progress = Callable[[str, int, int], None]

OPEN_FILES = '/proc/self/fd/'
"""Where a process finds what it has open."""


@dataclass(frozen=True)
class Footage:
    """Where frames come from, and who judges the answers.

    Attributes:
        source: what `open_source` takes.
        labels: file of labels in the MOT format; None where nobody drew any.
    """

    source: str
    labels: Path | None = None

    @property
    def name(self) -> str:
        """Name for people."""
        return Path(self.source).stem


def labelled_footage(folder: str | None = None) -> list[Footage]:
    """The videos with labels of people that are at hand.

    Args:
        folder: folder of the environment variable E4_FOOTAGE.
    """
    base = Path(folder or os.environ.get('E4_FOOTAGE') or '/nonexistent')
    found = [Footage('vtest', path) for path in sorted(base.glob('vtest*.txt'))[:1]]
    for labels in sorted(base.glob('*/gt.txt')):
        videos = [path for path in sorted(labels.parent.iterdir()) if path.suffix in _VIDEOS]
        found += [Footage(str(video), labels) for video in videos[:1]]
    return found


_VIDEOS = ('.mp4', '.avi', '.mkv', '.mov')


class Film:
    """Frames of a video, mapped.

    Args:
        footage: what to show.
        most: number of frames, at most.
        progress: told how many frames there are so far.

    Attributes:
        name: of the footage.
        count: number of different frames.
        shape: ``(H, W, 3)`` of each.
        fps: frames a second as they were taken.
        labels: what people drew; None where nobody did.

    Raises:
        SourceError: it cannot be read.
        LabelsError: the labels are no labels, or another video's.
    """

    def __init__(self, footage: Footage, most: int, progress: Progress | None = None) -> None:
        source = open_source(footage.source)
        self.name, self.fps = footage.name, source.fps or 10.0
        self.labels = read_mot(footage.labels) if footage.labels else None
        if self.labels is not None:
            most = min(most, len(self.labels.frames))
        first = self.labels.first if self.labels is not None else 0
        self._first = first
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self.count, self.shape = 0, (0, 0, 3)
        for _, frame in islice(iter(source), first, first + most):
            if not self.count:
                self.shape = frame.shape
            self._file.write(np.ascontiguousarray(frame).tobytes())
            self.count += 1
            if progress is not None:
                progress(f'reading {self.name}', self.count, most)
        self._file.flush()
        if self.count < 2:
            raise SourceError(f'{footage.source} has {self.count} frames; a film needs more')
        if self.labels is not None:
            self.labels.check_fits(self.shape[:2], source.frame_count)
        self.frames = mapped(self.path, self.count, self.shape)

    @property
    def path(self) -> str:
        """Path of the frames here, and in a process that was given `descriptor`.

        Through our own entry in /proc a process in another user namespace would not be let in.
        """
        return f'{OPEN_FILES}{self.descriptor}'

    @property
    def descriptor(self) -> int:
        """Descriptor of the file, for a process that is to see the frames."""
        return self._file.fileno()

    def close(self) -> None:
        """Give the frames back."""
        self._file.close()

    def judge(self, number: int, answer: Detections, reference: Labels | None = None) -> Counts:
        """How many boxes of an answer are right, by people, or by another reference.

        Args:
            number: number of the frame in the stream, from 0.
            answer: what was said of it.
            reference: stands in where nobody drew labels; its frames count from 0.
        """
        index = turn(number, self.count)
        if self.labels is not None:
            truth = self.labels.at(self._first + index)
            return match_frame(of_classes(answer, self.labels.classes), truth).counts
        if reference is None:
            return Counts()
        return match_frame(answer, reference.at(index)).counts


def mapped(path: str, count: int, shape: Sequence[int]) -> np.ndarray:
    """The frames, ``(N, H, W, 3)`` uint8 RGB, which nobody may write to."""
    return np.memmap(path, np.uint8, 'r', shape=(count, *shape))


def turn(number: int, count: int) -> int:
    """Which of ``count`` frames is shown as number ``number`` of a stream, forth and back."""
    place = number % (2 * count - 2)
    return place if place < count else 2 * count - 2 - place
