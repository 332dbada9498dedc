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

"""What a frame's network looks like from outside: what goes in, what comes out, what it means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.placement import Placement

Task = Literal['detect', 'classify', 'clips']


class ModelError(ValueError):
    """A model cannot be had: its name is unknown, or its weights are missing or do not fit."""


@runtime_checkable
class VisionModel(Protocol):
    """What must happen before a network and after it; what runs the network is a `Runtime`.

    Attributes:
        name: the name it has in the zoo.
        task: ``detect`` (boxes), ``classify`` (one class for each image) or ``clips`` (one class
            for what happens in a stretch of time).
        class_names: class names by label.
        input_size: ``(H, W)`` that the network takes.
    """

    name: str
    task: Task
    class_names: Sequence[str]
    input_size: tuple[int, int]

    def preprocess(self, frame: np.ndarray) -> np.ndarray:
        """Turn an ``(H, W, 3)`` uint8 RGB frame into the network's ``(1, 3, H, W)`` float32."""
        ...

    def place(self, frame_shape: tuple[int, ...]) -> Placement:
        """Where a frame of a shape ``(H, W, ...)`` lies in the network's input."""
        ...

    def decode(
        self, outputs: Mapping[str, np.ndarray], frame_shape: tuple[int, ...], min_score: float
    ) -> Detections:
        """Turn the network's raw outputs for one frame into an answer.

        Args:
            outputs: the network's outputs by name, batch of one.
            frame_shape: shape of the source frame, ``(H, W, ...)``.
            min_score: score below which detections are left out, 0 to 1.
        """
        ...


def check_frame(frame: np.ndarray) -> None:
    """Refuse what is not an ``(H, W, 3)`` uint8 image with at least one pixel.

    Raises:
        ValueError: says what came instead.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
        raise ValueError(
            f'a frame must be an RGB image (H, W, 3) of uint8, got {frame.shape} of {frame.dtype}'
        )


def check_stamp(stamp_s: float) -> None:
    """Refuse a time stamp that is none.

    Raises:
        ValueError: it is not finite.
    """
    if not math.isfinite(stamp_s):
        raise ValueError(f'a frame needs a finite time stamp in seconds, got {stamp_s}')
