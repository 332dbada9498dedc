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

"""What ought to be found in each frame: drawn by people, or taken from other answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from e4_ros.vision.boxes import clip
from e4_ros.vision.detections import Detections

_INSIDE = 0.5  # share of the boxes that must lie in the picture, and of a box that must be visible
_GONE = 0.05  # share of a box below which a window shows nothing of it


class LabelsError(ValueError):
    """Labels that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class FrameLabels:
    """The labels of one frame.

    Attributes:
        boxes: ``(N, 4)`` float64, ``x0, y0, x1, y1`` in pixels of the source image.
        classes: ``(N,)`` int64, indices into the model's ``class_names``.
        counted: ``(N,)`` bool; False for an ignore region, which is neither a hit nor a miss.
        ids: ``(N,)`` int64, the object that each box is of; None where nobody knows.
    """

    boxes: np.ndarray
    classes: np.ndarray
    counted: np.ndarray
    ids: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        boxes: np.ndarray,
        ids: np.ndarray | None = None,
        counted: np.ndarray | None = None,
        label: int = 0,
    ) -> FrameLabels:
        """Cast to the dtypes of labels, all of one class.

        Args:
            boxes: ``(N, 4)``.
            ids: ``(N,)``; None where nobody knows.
            counted: ``(N,)``; all, if left out.
            label: Class of all boxes.
        """
        boxes = np.asarray(boxes, float).reshape(-1, 4)
        return cls(
            boxes,
            np.full(len(boxes), label, np.int64),
            np.ones(len(boxes), bool) if counted is None else np.asarray(counted, bool),
            None if ids is None else np.asarray(ids, np.int64),
        )


_NOTHING = FrameLabels.of(np.zeros((0, 4)), np.zeros(0))


@dataclass(frozen=True)
class Labels:
    """Labels of consecutive frames of a source.

    Attributes:
        name: Where they come from, for messages.
        frames: Labels of frame ``first``, ``first + 1``, …
        first: Index of the first labelled frame, from 0.
        classes: Classes that the labels are about: answers of others are left out. None for all.
        notes: Sentences for the user.
    """

    name: str
    frames: Sequence[FrameLabels]
    first: int = 0
    classes: frozenset[int] | None = None
    notes: Sequence[str] = ()

    @property
    def span(self) -> range:
        """Indices of the labelled frames."""
        return range(self.first, self.first + len(self.frames))

    def at(self, frame: int) -> FrameLabels:
        """The labels of a frame; none where the frame is not among the labelled ones."""
        return self.frames[frame - self.first] if frame in self.span else _NOTHING

    def births(self) -> dict[int, int]:
        """Id of each object that is counted in some frame → the first such frame."""
        found: dict[int, int] = {}
        for frame, labels in zip(self.span, self.frames, strict=True):
            if labels.ids is not None:
                for name in labels.ids[labels.counted].tolist():
                    found.setdefault(name, frame)
        return found

    @classmethod
    def of_answers(
        cls,
        answers: Sequence[Detections],
        min_score: float,
        name: str = 'the reference',
        frames: Sequence[int] | None = None,
    ) -> Labels:
        """Answers as labels, such as those of the full network with the tracker.

        Args:
            answers: The reference's answer to each frame; their ids tell objects apart.
            min_score: Least score of a box that counts.
            name: Name for messages.
            frames: Index of each answer's frame, rising; 0, 1, … if left out. A frame that is left
                out has no label.
        """
        indices = range(len(answers)) if frames is None else frames
        if not answers:
            return cls(name, [])
        made = [_NOTHING] * (indices[-1] - indices[0] + 1)
        for index, answer in zip(indices, answers, strict=True):
            kept = answer.above(min_score)
            ids = np.zeros(0, np.int64) if not len(kept) else kept.ids
            everything = np.ones(len(kept), bool)
            made[index - indices[0]] = FrameLabels(
                kept.boxes.astype(float), kept.labels, everything, ids
            )
        return cls(name, made, indices[0])

    def through_window(self, corners: Sequence[tuple[int, int]], size: tuple[int, int]) -> Labels:
        """The labels as seen through a window that moves over the picture.

        A box is cut at the window's edge. Of what is less than half in the window nobody can say
        whether it ought to be found, so it is ignored.

        Args:
            corners: x and y of the window's upper left corner in pixels, of each frame from 0.
            size: (height, width) of the window.
        """
        return replace(
            self,
            name=f'{self.name} through a window',
            frames=[
                _seen(f, corners[i], size) for i, f in zip(self.span, self.frames, strict=True)
            ],
        )

    def check_fits(self, size: tuple[int, int], frame_count: int | None) -> None:
        """Make sure that these are labels of a video.

        Args:
            size: (height, width) of its frames.
            frame_count: Number of its frames; None where unknown.

        Raises:
            LabelsError: they name frames beyond its end, or lie mostly outside its picture.
        """
        height, width = size
        if frame_count is not None and self.span.stop > frame_count:
            raise LabelsError(
                f'{self.name} has labels up to frame {self.span.stop}, but the video has '
                f'{frame_count} frames of {width}×{height} pixels: these are labels of another '
                'video, or of one with another frame rate'
            )
        boxes = np.concatenate([frame.boxes for frame in self.frames] or [np.zeros((0, 4))])
        outside = _visible(boxes, size) < _INSIDE
        if len(boxes) and outside.mean() > 1 - _INSIDE:
            reach = boxes[:, 2:].max(0)
            raise LabelsError(
                f'{outside.sum()} of the {len(boxes)} boxes of {self.name} lie outside the picture '
                f'of {width}×{height} pixels (they reach to {reach[0]:.0f}×{reach[1]:.0f}): these '
                'are labels of another video, or of another size of it; give the video that was '
                'labelled, or scale x, y, width and height to its size'
            )


def _visible(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Share of each box that lies in the picture."""
    area, inside = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (boxes, clip(boxes, size)))
    return inside / np.maximum(area, 1e-9)


def _seen(labels: FrameLabels, corner: tuple[int, int], size: tuple[int, int]) -> FrameLabels:
    boxes = labels.boxes - np.array([*corner, *corner], float)
    visible = _visible(boxes, size)
    kept = visible > _GONE
    return FrameLabels(
        clip(boxes, size)[kept],
        labels.classes[kept],
        (labels.counted & (visible >= _INSIDE))[kept],
        None if labels.ids is None else labels.ids[kept],
    )
