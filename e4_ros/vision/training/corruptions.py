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

"""Corruptions of a camera's frames that gates should notice: night, a covered lens, blur."""

from __future__ import annotations

import cv2
import numpy as np

CORRUPTIONS = ('dark', 'cover', 'blur')  # those that change the frame itself


def corrupt(image: np.ndarray, corruption: str, rng: np.random.Generator) -> np.ndarray:
    """A corrupted frame.

    Args:
        image: frame ``(H, W, 3)`` uint8.
        corruption: one of `CORRUPTIONS`; any other name leaves the frame unchanged.
        rng: random generator of the corruption's strength.
    """
    if corruption == 'dark':
        return cv2.convertScaleAbs(image, alpha=rng.uniform(0.05, 0.3))
    if corruption == 'cover':
        return np.full_like(image, rng.integers(0, 60))
    if corruption == 'blur':
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(2, 6) * image.shape[1] / 192)
    return image
