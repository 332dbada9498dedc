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

"""Perturbations of footage: night, a turning robot, another scene, a covered lens, a rough road.

And a camera that moves: a window that wanders over the picture of one that does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

Clip = Sequence[tuple[float, np.ndarray]]
Images = list[np.ndarray]

_NIGHT = 0.12  # share of the light
_READ_NOISE = 4.0  # grey levels
_WINDOW = 0.7  # share of the frame that a panned crop shows
_PAN_FRAMES = 60  # period of the pan
_SHAKE = 0.03  # standard deviation of a jolt, as a share of the frame's width
_SEED = 0
_SPEED = 3.0, 1.0  # pixels a frame that a wandering window moves, and by how much that varies
_SPEED_FRAMES = 97  # period in which it varies
_HEADING = 0.6  # radians from the horizontal
_JITTER = 1.0  # standard deviation of a wandering window's jitter, in pixels


def darkened(images: Images) -> Images:
    """Night: an eighth of the light, with a sensor's noise."""
    rng = np.random.default_rng(_SEED)
    return [_noisy(_NIGHT * image.astype(np.float32), rng) for image in images]


def panned(images: Images) -> Images:
    """The camera turns left and right: a crop moves over the frame, enlarged to its size."""
    height, width = images[0].shape[:2]
    rows, columns = round(height * _WINDOW), round(width * _WINDOW)
    top, room = (height - rows) // 2, width - columns
    turned = []
    for index, image in enumerate(images):
        left = round(room * (1 - np.cos(2 * np.pi * index / _PAN_FRAMES)) / 2)
        crop = image[top : top + rows, left : left + columns]
        turned.append(cv2.resize(crop, (width, height)))
    return turned


def covered(images: Images) -> Images:
    """A covered lens: the image is dark, even and noisy."""
    rng = np.random.default_rng(_SEED)
    height, width = images[0].shape[:2]
    small = [cv2.resize(image, (4, 3), interpolation=cv2.INTER_AREA) for image in images]
    dim = [cv2.resize(0.15 * s.astype(np.float32), (width, height)) for s in small]
    return [_noisy(image, rng) for image in dim]


def shaken(images: Images) -> Images:
    """A rough road: every frame is jolted, and smeared along its jolt."""
    rng = np.random.default_rng(_SEED)
    width = images[0].shape[1]
    jolts = rng.normal(0, _SHAKE * width, (len(images), 2))
    steps = np.linspace(-0.15, 0.15, 5)
    moved = []
    for image, jolt in zip(images, jolts, strict=True):
        smear = [_shifted(image, jolt * (1 + step)).astype(np.float32) for step in steps]
        moved.append(np.mean(smear, 0).astype(np.uint8))
    return moved


PERTURBATIONS: dict[str, Callable[[Images], Images]] = {
    'darkened': darkened,
    'panned': panned,
    'covered': covered,
    'shaken': shaken,
}


def perturbed(name: str, clip: Clip, begin: int) -> Clip:
    """A clip with a perturbation from one frame on.

    Args:
        name: name of the perturbation, a key of `PERTURBATIONS`.
        clip: pairs of stamp in seconds and frame in order of time, frames of one size.
        begin: index of the first frame that is changed.
    """
    if begin >= len(clip):
        return list(clip)
    changed = PERTURBATIONS[name]([frame for _, frame in clip[begin:]])
    stamps = [stamp_s for stamp_s, _ in clip[begin:]]
    return [*clip[:begin], *zip(stamps, changed, strict=True)]


def cut_to(clip: Clip, other: Clip, begin: int) -> Clip:
    """A clip that continues with another's frames, cropped and enlarged to its own size.

    The size stays the same so that only the picture shows the cut.

    Args:
        clip: pairs of stamp in seconds and frame in order of time.
        other: clip whose frames follow from ``begin`` on, repeated if they are too few.
        begin: index of the first frame after the cut.
    """
    shape = clip[0][1].shape
    frames = [_filling(other[i % len(other)][1], shape) for i in range(len(clip) - begin)]
    stamps = [stamp_s for stamp_s, _ in clip[begin:]]
    return [*clip[:begin], *zip(stamps, frames, strict=True)]


def window_corners(
    count: int, shape: tuple[int, ...], size: tuple[int, int]
) -> list[tuple[int, int]]:
    """Where a window is that wanders over a picture, as a moving camera would show it.

    It moves 2 to 4 pixels a frame, turns back at the picture's edges, and jitters by about a pixel.

    Args:
        count: number of frames.
        shape: ``(height, width, ...)`` of the picture.
        size: ``(height, width)`` of the window, at most the picture's.

    Returns:
        x and y of the window's upper left corner in pixels, of each frame.

    Raises:
        ValueError: the window is larger than the picture.
    """
    room = np.array([shape[1] - size[1], shape[0] - size[0]], float)
    if (room < 0).any():
        raise ValueError(
            f'a window of {size[1]}×{size[0]} pixels does not fit into a picture of '
            f'{shape[1]}×{shape[0]}; take a smaller one'
        )
    mean, varies = _SPEED
    speed = mean + varies * np.sin(2 * np.pi * np.arange(count) / _SPEED_FRAMES)
    way = (np.cumsum(speed) - speed[:1])[:, None] * [np.cos(_HEADING), np.sin(_HEADING)]
    bounced = room - np.abs(way % np.maximum(2 * room, 1) - room)
    jitter = np.random.default_rng(_SEED).normal(0, _JITTER, (count, 2))
    corners = np.rint(bounced + jitter).clip(0, room).astype(int)
    return [(x, y) for x, y in corners.tolist()]


def through_window(
    clip: Clip, corners: Sequence[tuple[int, int]], size: tuple[int, int]
) -> list[tuple[float, np.ndarray]]:
    """A clip as a window shows it; `Labels.through_window` moves its labels.

    Args:
        clip: pairs of stamp in seconds and frame.
        corners: of each frame, see `window_corners`.
        size: ``(height, width)`` of the window.
    """
    height, width = size
    return [
        (stamp_s, np.ascontiguousarray(frame[y : y + height, x : x + width]))
        for (stamp_s, frame), (x, y) in zip(clip, corners, strict=True)
    ]


def _filling(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The middle of an image with the shape's proportions, at its size."""
    height, width = image.shape[:2]
    scale = min(height / shape[0], width / shape[1])
    rows, columns = round(shape[0] * scale), round(shape[1] * scale)
    top, left = (height - rows) // 2, (width - columns) // 2
    return cv2.resize(image[top : top + rows, left : left + columns], (shape[1], shape[0]))


def _shifted(image: np.ndarray, by: np.ndarray) -> np.ndarray:
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]])
    size = image.shape[1], image.shape[0]
    return cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT)


def _noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(image.shape, np.float32) * _READ_NOISE
    return (image + noise).clip(0, 255).astype(np.uint8)
