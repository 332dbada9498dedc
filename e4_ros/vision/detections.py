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

"""What a network says about one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Detections:
    """Detections (or one class) of one frame, highest score first.

    Attributes:
        boxes: ``(N, 4)`` float32, ``x0, y0, x1, y1`` in pixels of the source image.
        scores: ``(N,)`` float32 in [0, 1], descending.
        labels: ``(N,)`` int64, indices into the model's ``class_names``.
        ids: ``(N,)`` int64, the track that each belongs to, from 1; None where nobody tracks.
        velocities: ``(N, 2)`` float32, of the boxes' centres in source pixels a second; None where
            nobody tracks.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    ids: np.ndarray | None = None
    velocities: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.labels.shape != (count,):
            raise ValueError(
                f'an answer needs boxes (N, 4), scores (N,) and labels (N,), got '
                f'{self.boxes.shape}, {self.scores.shape} and {self.labels.shape}'
            )
        if self.ids is not None and self.ids.shape != (count,):
            raise ValueError(f'{count} detections need as many ids, got {self.ids.shape}')
        if self.velocities is not None and self.velocities.shape != (count, 2):
            raise ValueError(f'{count} detections need ({count}, 2) velocities')

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        """The answer "nothing here"."""
        return cls.of(np.zeros((0, 4)), np.zeros(0), np.zeros(0))

    @classmethod
    def of(
        cls, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray | None = None
    ) -> Detections:
        """Cast to the dtypes of an answer and sort by falling score (stable).

        Args:
            boxes: ``(N, 4)``.
            scores: ``(N,)``.
            labels: ``(N,)``, all 0 when left out.
        """
        scores = np.asarray(scores, np.float32).reshape(-1)
        order = np.argsort(-scores, kind='stable')
        if labels is None:
            labels = np.zeros(len(scores), np.int64)
        return cls(
            np.asarray(boxes, np.float32).reshape(-1, 4)[order],
            scores[order],
            np.asarray(labels, np.int64).reshape(-1)[order],
        )

    @classmethod
    def of_class(cls, label: int, score: float, frame_shape: tuple[int, ...]) -> Detections:
        """One class for the whole image: a box over all of it."""
        height, width = frame_shape[:2]
        return cls.of(np.array([[0, 0, width, height]]), np.array([score]), np.array([label]))

    def above(self, min_score: float) -> Detections:
        """Only what scores at least ``min_score``."""
        keep = int(np.searchsorted(-self.scores, -np.float32(min_score), side='right'))
        return Detections(
            self.boxes[:keep],
            self.scores[:keep],
            self.labels[:keep],
            None if self.ids is None else self.ids[:keep],
            None if self.velocities is None else self.velocities[:keep],
        )
