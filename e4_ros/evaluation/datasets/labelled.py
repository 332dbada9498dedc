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

"""Labelled clips and datasets, as every reader returns them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from e4_ros.evaluation.datasets.decode import ClipVideo
from e4_ros.evaluation.sources.base import SourceError

VIDEO_SUFFIXES = frozenset(('.mp4', '.avi', '.mkv', '.webm', '.mov', '.m4v', '.mpg', '.mpeg'))
_MEASURED = 100  # clips whose length is looked up


class DatasetError(ValueError):
    """A dataset that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class LabelledClip:
    """A video, or a part of one, with its class.

    Attributes:
        path: path of the video.
        label: index into the dataset's class names.
        start_s: start of the clip in the video, in seconds.
        end_s: end of the clip in seconds; None for the end of the video.
    """

    path: Path
    label: int
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def key(self) -> str:
        """Identity of the clip, which changes with the file.

        Raises:
            OSError: the file is not there.
        """
        stat = self.path.stat()
        text = (
            f'{self.path.resolve()} {stat.st_size} {stat.st_mtime_ns} {self.start_s} {self.end_s}'
        )
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def length_s(self) -> float:
        """Length of the clip in seconds.

        Raises:
            SourceError: the video cannot be read.
        """
        end_s = ClipVideo(self.path, str(self.path)).end_s() if self.end_s is None else self.end_s
        return end_s - self.start_s

    def frames(self, count: int) -> np.ndarray:
        """Evenly spaced frames, in order of time: ``(count, H, W, 3)`` uint8 RGB.

        Raises:
            SourceError: the video cannot be decoded.
        """
        return ClipVideo(self.path, str(self.path)).sample(count, self.start_s, self.end_s)


@dataclass
class Dataset:
    """A labelled dataset.

    Attributes:
        name: name of the dataset's folder.
        class_names: class names by label.
        train: training clips.
        val: validation clips.
        missing: paths of videos that are listed but not there.
        notes: sentences for the user.
    """

    name: str
    class_names: list[str]
    train: list[LabelledClip]
    val: list[LabelledClip]
    missing: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def clip_length_s(self) -> float:
        """Median length of the training clips in seconds, from some of them spread over all.

        Raises:
            DatasetError: the length of none of these can be read.
        """
        lengths = []
        for clip in self.train[:: -(-len(self.train) // _MEASURED)]:
            with suppress(SourceError):
                lengths.append(clip.length_s())
        if not any(length_s > 0 for length_s in lengths):
            raise DatasetError(f'not one training clip of {self.name} has a length')
        return float(np.median([length_s for length_s in lengths if length_s > 0]))

    def check(self) -> Dataset:
        """The dataset itself, if it can be trained and validated on.

        Raises:
            DatasetError: a split is empty, or there are fewer than two classes.
        """
        lost = f' ({len(self.missing)} listed videos are missing, e.g. {self.missing[0]})' if (
            self.missing
        ) else ''  # fmt: skip
        for split, clips in (('training', self.train), ('validation', self.val)):
            if not clips:
                raise DatasetError(f'{self.name} has no {split} clips{lost}')
        if len(self.class_names) < 2:
            raise DatasetError(f'{self.name} has one class only: {self.class_names}')
        if self.missing:
            listed = len(self.train) + len(self.val) + len(self.missing)
            self.notes.append(f'{len(self.missing)} of {listed} listed videos are missing')
        return self


def same_classes(train: Sequence[str], val: Sequence[str], name: str) -> list[str]:
    """The class names, sorted; validation may lack some but not have others.

    Raises:
        DatasetError: the two lists do not match.
    """
    strange = sorted(set(val) - set(train))
    if strange:
        raise DatasetError(
            f'the class lists of {name} do not match: validation has {strange[:5]}'
            f'{" and more" if len(strange) > 5 else ""}, which training does not'
        )
    return sorted(set(train))
