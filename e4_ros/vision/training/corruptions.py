"""What happens to a camera that its exits should notice: night, a covered lens, a knock."""

from __future__ import annotations

import cv2
import numpy as np

CORRUPTIONS = ('dark', 'cover', 'blur')  # change the picture itself


def corrupt(image: np.ndarray, corruption: str, rng: np.random.Generator) -> np.ndarray:
    """An ``(H, W, 3)`` uint8 image in such a state; unchanged by any other trouble."""
    if corruption == 'dark':
        return cv2.convertScaleAbs(image, alpha=rng.uniform(0.05, 0.3))
    if corruption == 'cover':
        return np.full_like(image, rng.integers(0, 60))
    if corruption == 'blur':
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(2, 6) * image.shape[1] / 192)
    return image
