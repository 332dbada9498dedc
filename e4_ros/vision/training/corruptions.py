"""What happens to a camera that its exits should notice: night, a covered lens, a knock."""

from __future__ import annotations

import cv2
import numpy as np

SPOILERS = ('dark', 'cover', 'blur')  # change the picture itself


def spoil(image: np.ndarray, trouble: str, rng: np.random.Generator) -> np.ndarray:
    """An ``(H, W, 3)`` uint8 image in such a state; unchanged by any other trouble."""
    if trouble == 'dark':
        return cv2.convertScaleAbs(image, alpha=rng.uniform(0.05, 0.3))
    if trouble == 'cover':
        return np.full_like(image, rng.integers(0, 60))
    if trouble == 'blur':
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(2, 6) * image.shape[1] / 192)
    return image
