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

"""The actions of the generated set: where the thing is, and how large, at each frame.

One frame tells none of them apart, and the first half of a circle looks like a straight line: the
classes need time, some more of it than others.
"""

from __future__ import annotations

import numpy as np

_STRAIGHT = {'left': (-1, 0), 'right': (1, 0), 'up': (0, -1), 'down': (0, 1)}
_TURN = {'clockwise': 1, 'anticlockwise': -1}
_GROW = {'approach': 1, 'recede': -1}

MOTIONS = (*_STRAIGHT, *_TURN, *_GROW, 'shake', 'still')


def trajectory(motion: str, frames: int, rng: np.random.Generator) -> np.ndarray:
    """A path of one motion, with random speed, size, phase and beginning.

    Args:
        motion: name of the motion, one of `MOTIONS`.
        frames: number of frames of the clip.
        rng: random generator of the trajectory.

    Returns:
        ``(frames, 3)``: x and y of the centre in widths and heights of the image, y downwards, and
        the factor on the thing's size. It stands still until it begins, in the first third.
    """
    begin = rng.uniform(0, 0.3)
    progress = np.clip((np.linspace(0, 1, frames) - begin) / (1 - begin), 0, 1)
    steps, scale = _steps(motion, progress, rng)
    middle = (steps.max(0) + steps.min(0)) / 2
    path = rng.uniform(0.4, 0.6, 2) + steps - middle
    return np.concatenate([path, scale[:, None]], 1)


def _steps(
    motion: str, progress: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Way from the beginning ``(frames, 2)`` and factor on the size ``(frames,)``."""
    way, scale = np.zeros((len(progress), 2)), np.ones(len(progress))
    if motion in _STRAIGHT:
        drift = rng.uniform(-0.12, 0.12)
        along = np.array(_STRAIGHT[motion])
        way = progress[:, None] * rng.uniform(0.3, 0.6) * (along + drift * along[::-1])
    elif motion in _TURN:
        turns, phase = rng.uniform(0.8, 1.3), rng.uniform(0, 2 * np.pi)
        angle = phase + _TURN[motion] * 2 * np.pi * turns * progress
        way = rng.uniform(0.12, 0.2) * np.stack([np.cos(angle), np.sin(angle)], 1)
    elif motion in _GROW:
        growth = rng.uniform(0.9, 1.4)
        scale = np.exp(_GROW[motion] * growth * (progress - 0.5))
    elif motion == 'shake':
        direction = rng.uniform(0, 2 * np.pi)
        swing = np.sin(2 * np.pi * rng.uniform(2.0, 3.5) * progress) * rng.uniform(0.06, 0.1)
        way = swing[:, None] * [np.cos(direction), np.sin(direction)]
    elif motion != 'still':
        raise ValueError(f'there is no motion {motion!r}; there are {", ".join(MOTIONS)}')
    return way, scale
