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

"""What obstacles cover of the ground, as points that costmaps and collision monitors read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from e4_ros.perception.obstacles.finder import Obstacle

_LEVEL_M = 0.25  # between two rings of points, one above the other
_MOST_LEVELS = 12


def footprint_points(obstacles: Sequence[Obstacle], spacing_m: float) -> np.ndarray:
    """Points on each obstacle's outline and in its middle, from its foot to its top.

    The outline is a circle as wide as the obstacle; levels let height limits of any costmap find
    some of them.

    Args:
        obstacles: In the target frame.
        spacing_m: Longest way between two neighbours on the outline.

    Returns:
        ``(M, 3)`` float32 metres.
    """
    parts = [_points(obstacle, spacing_m) for obstacle in obstacles]
    return np.concatenate([np.zeros((0, 3), np.float32), *parts])


def _points(obstacle: Obstacle, spacing_m: float) -> np.ndarray:
    radius, height = obstacle.size[1] / 2, max(float(obstacle.size[2]), 0.0)
    count = max(6, int(np.ceil(2 * np.pi * radius / spacing_m)))
    angles = np.arange(count) * (2 * np.pi / count)
    ring = radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    ring = np.concatenate([ring, np.zeros((1, 2))]) + obstacle.position[:2]
    levels = min(_MOST_LEVELS, 1 + int(np.ceil(height / _LEVEL_M)))
    heights = obstacle.position[2] + np.linspace(-height / 2, height / 2, levels)
    points = np.empty((levels, len(ring), 3), np.float32)
    points[..., :2] = ring
    points[..., 2] = heights[:, None]
    return points.reshape(-1, 3)
