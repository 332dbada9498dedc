"""From a camera's frame to a network's input, described by settings that a file can hold."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

_Three = tuple[float, float, float]


class _Settings(BaseModel):
    """What all kinds have in common.

    Attributes:
        size: height and width of the network's input, pixels.
        mean: mean of each channel of the input, in pixel values 0 to 255.
        std: standard deviation of each channel, likewise.
        channels: order in which the network takes the channels; frames are RGB.
    """

    model_config = ConfigDict(frozen=True, extra='forbid')

    size: tuple[PositiveInt, PositiveInt]
    mean: _Three
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    channels: Literal['rgb', 'bgr'] = 'rgb'

    def _normalised(self, image: np.ndarray) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB of the input's size to ``(1, 3, H, W)`` float32."""
        swap, std = self.channels == 'bgr', self.std
        if len(set(std)) == 1:
            return cv2.dnn.blobFromImage(image, 1 / std[0], mean=self.mean, swapRB=swap)
        blob = cv2.dnn.blobFromImage(image, mean=self.mean, swapRB=swap)
        return blob / np.array(std, np.float32).reshape(1, 3, 1, 1)


class Stretch(_Settings):
    """The whole frame squeezed into the input, whatever its shape."""

    kind: Literal['stretch'] = 'stretch'

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB to ``(1, 3, h, w)`` float32."""
        return self._normalised(cv2.resize(frame, self.size[::-1]))


class CentreCrop(_Settings):
    """The frame shrunk, and its centre cut out.

    Attributes:
        shorter_side: length in pixels of the frame's shorter side after shrinking.
    """

    kind: Literal['centre_crop'] = 'centre_crop'
    shorter_side: PositiveInt

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB to ``(1, 3, h, w)`` float32.

        The part that will be kept is cut out first, so that nothing is resized in vain.
        """
        height, width = frame.shape[:2]
        scale = min(height, width) / max(self.shorter_side, *self.size)
        rows, columns = (max(1, round(side * scale)) for side in self.size)
        top, left = (height - rows) // 2, (width - columns) // 2
        centre = frame[top : top + rows, left : left + columns]
        smooth = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
        return self._normalised(cv2.resize(centre, self.size[::-1], interpolation=smooth))


Preprocessing = Annotated[Stretch | CentreCrop, Field(discriminator='kind')]
