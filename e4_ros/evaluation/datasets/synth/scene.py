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

"""One generated clip: a thing that moves, and what makes that hard to see."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from e4_ros.evaluation.datasets.synth.motions import trajectory
from e4_ros.evaluation.datasets.synth.textures import crop

_MARGIN = 16  # pixels around the image, for the camera to drift into


@dataclass(frozen=True)
class Difficulty:
    """How hard clips are; each is the most that is drawn, uniformly from nothing.

    Attributes:
        clutter: largest number of other objects, which stand still.
        blur: largest standard deviation of the lens' blur, in pixels.
        occlusion: probability of a post in front of the object.
        noise: largest standard deviation of the noise, in grey levels.
        drift: number of pixels that the camera drifts over the clip.
    """

    clutter: int = 3
    blur: float = 1.5
    occlusion: float = 0.5
    noise: float = 8.0
    drift: float = 12.0


@dataclass(frozen=True)
class _Thing:
    """A textured shape: its pixels, and its opacity from 0 to 1."""

    pixels: np.ndarray
    alpha: np.ndarray


def render(
    motion: str,
    textures: list[np.ndarray],
    rng: np.random.Generator,
    frames: int,
    size: int,
    difficulty: Difficulty,
) -> list[np.ndarray]:
    """A clip of ``frames`` square RGB images of ``size`` pixels."""
    ground = crop(textures, (size + 2 * _MARGIN, size + 2 * _MARGIN), rng)
    for _ in range(rng.integers(difficulty.clutter + 1)):
        place = rng.uniform(_MARGIN, size + _MARGIN, 2)
        _paste(ground, _thing(textures, rng, size), place, 1.0)
    thing, path = _thing(textures, rng, size), trajectory(motion, frames, rng)
    post = _post(textures, rng, size) if rng.random() < difficulty.occlusion else None
    drift = rng.uniform(-0.5, 0.5, 2) * min(difficulty.drift, 2 * _MARGIN)
    blur, noise = rng.uniform(0, difficulty.blur), rng.uniform(0, difficulty.noise)
    clip = []
    for time, (x, y, scale) in zip(np.linspace(-0.5, 0.5, frames), path, strict=True):
        shift = drift * time - _MARGIN
        view = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        image = cv2.warpAffine(ground, view, (size, size), borderMode=cv2.BORDER_REFLECT)
        _paste(image, thing, (x * size, y * size), scale)
        if post is not None:
            image = np.where(post.alpha[..., None] > 0, post.pixels, image)
        clip.append(_seen(image, blur, noise, rng))
    return clip


def _thing(textures: list[np.ndarray], rng: np.random.Generator, size: int) -> _Thing:
    """An ellipse or a polygon, a fifth to a third of the image wide, soft at its edge."""
    side = int(size * rng.uniform(0.2, 0.34))
    mask = np.zeros((side, side), np.uint8)
    if rng.random() < 0.5:
        axes = (int(side * rng.uniform(0.3, 0.48)), int(side * rng.uniform(0.3, 0.48)))
        cv2.ellipse(mask, (side // 2, side // 2), axes, rng.uniform(0, 180), 0, 360, 255, -1)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 9)))
        reach = side * rng.uniform(0.3, 0.48, len(angles))
        corners = side / 2 + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(mask, [corners.astype(np.int32)], 255)
    alpha = cv2.GaussianBlur(mask, (0, 0), 1.0).astype(np.float32) / 255
    pixels = crop(textures, (side * 2, side * 2), rng)
    tint = rng.uniform(0.6, 1.4, 3)
    pixels = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA) * tint
    return _Thing(pixels.clip(0, 255).astype(np.float32), alpha)


def _paste(
    image: np.ndarray, thing: _Thing, centre: tuple[float, float] | np.ndarray, scale: float
) -> None:
    """Blend a thing into an image, in place; its centre and size may be fractions of pixels."""
    middle = (np.array(thing.alpha.shape[::-1]) - 1) / 2
    shift = np.asarray(centre) - scale * middle
    place = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    size = image.shape[1::-1]
    alpha = cv2.warpAffine(thing.alpha, place, size)[..., None]
    pixels = cv2.warpAffine(thing.pixels, place, size, borderMode=cv2.BORDER_REPLICATE)
    image[:] = (image + alpha * (pixels - image)).astype(np.uint8)


def _post(textures: list[np.ndarray], rng: np.random.Generator, size: int) -> _Thing:
    """A bar across the whole image, upright or level, somewhere near its middle."""
    pixels = crop(textures, (size, size), rng)
    alpha = np.zeros((size, size), np.float32)
    wide = int(size * rng.uniform(0.06, 0.15))
    begin = int(size * rng.uniform(0.25, 0.65))
    alpha[:, begin : begin + wide] = 1
    return _Thing(pixels, alpha if rng.random() < 0.5 else alpha.T)


def _seen(image: np.ndarray, blur: float, noise: float, rng: np.random.Generator) -> np.ndarray:
    if blur > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    grain = rng.normal(0, noise, image.shape[:2])[..., None]
    return (image + grain).clip(0, 255).astype(np.uint8)
