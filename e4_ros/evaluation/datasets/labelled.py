"""What every reader of a dataset gives: clips with a label, and what was wrong with the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from e4_ros.evaluation.datasets.decode import ClipVideo

VIDEO_SUFFIXES = frozenset(('.mp4', '.avi', '.mkv', '.webm', '.mov', '.m4v', '.mpg', '.mpeg'))


class DatasetError(ValueError):
    """A dataset that cannot be used; the text says what to do."""


@dataclass(frozen=True)
class LabelledClip:
    """A video, or a part of one, and what is seen in it.

    Attributes:
        path: of the video.
        label: index into the dataset's class names.
        start_s: where in the video the clip begins.
        end_s: where it ends; None for the end of the video.
    """

    path: Path
    label: int
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def key(self) -> str:
        """Names the clip; another one if the file was changed.

        Raises:
            OSError: the file is not there.
        """
        stat = self.path.stat()
        text = (
            f'{self.path.resolve()} {stat.st_size} {stat.st_mtime_ns} {self.start_s} {self.end_s}'
        )
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def frames(self, count: int) -> np.ndarray:
        """Evenly spaced frames, in order of time: ``(count, H, W, 3)`` uint8 RGB.

        Raises:
            SourceError: it cannot be decoded.
        """
        return ClipVideo(self.path, str(self.path)).sample(count, self.start_s, self.end_s)


@dataclass
class Dataset:
    """A labelled dataset.

    Attributes:
        name: of its folder.
        class_names: what labels mean, by index.
        train: clips to learn from.
        val: clips to judge by.
        missing: videos that are listed and not there.
        notes: what else the user should know.
    """

    name: str
    class_names: list[str]
    train: list[LabelledClip]
    val: list[LabelledClip]
    missing: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def check(self) -> Dataset:
        """Itself, if there is something to learn from and to judge by.

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
