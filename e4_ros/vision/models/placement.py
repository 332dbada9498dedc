"""Where a frame lies in a network's input, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e4_ros.vision.boxes import clip


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame lies in a network's input.

    A point ``p`` of the frame lies at ``p * scale + offset`` in the input. Both are measured from
    the corner of the first pixel, not from its centre, as boxes are.

    Attributes:
        frame_shape: ``(H, W, ...)`` of the frame, pixels.
        scale: pixels of the input for each pixel of the frame, along x and y.
        offset: where the frame's upper left corner lies in the input, x and y, pixels.
    """

    frame_shape: tuple[int, ...]
    scale: tuple[float, float]
    offset: tuple[float, float]

    def to_frame(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes ``(N, 4)`` in pixels of the input to pixels of the frame, clipped to it."""
        scale = np.array(self.scale * 2, boxes.dtype)
        offset = np.array(self.offset * 2, boxes.dtype)
        return clip((boxes - offset) / scale, self.frame_shape)
