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

"""From a camera's frame to a network's input, described by settings that a file can hold."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from e4_ros.vision.placement import Placement

_Three = tuple[float, float, float]
_ORDER = {'rgb': (0, 1, 2), 'bgr': (2, 1, 0)}


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
        blob = np.empty((1, 3, *self.size), np.float32)
        for plane, table, channel in zip(
            blob[0], _tables(self.mean, self.std), _ORDER[self.channels], strict=True
        ):
            cv2.LUT(cv2.extractChannel(image, channel), table, dst=plane)
        return blob


@lru_cache(maxsize=8)
def _tables(mean: _Three, std: _Three) -> np.ndarray:
    """What each of 256 pixel values becomes, for each channel of the input: ``(3, 256)`` float32.

    Looking values up takes a fifth of the time of ``cv2.dnn.blobFromImage``, which subtracts and
    multiplies whole images of floats.
    """
    values = np.arange(256) - np.array(mean)[:, None]
    return (values / np.array(std)[:, None]).astype(np.float32)


class Stretch(_Settings):
    """The whole frame squeezed into the input, whatever its shape."""

    kind: Literal['stretch'] = 'stretch'

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB to ``(1, 3, h, w)`` float32."""
        return self._normalised(cv2.resize(frame, self.size[::-1]))

    def place(self, frame_shape: tuple[int, ...]) -> Placement:
        """Where a frame of a shape ``(H, W, ...)`` lies in the input: all over it."""
        return Placement.stretched(frame_shape, self.size)


class Letterbox(_Settings):
    """The whole frame shrunk or enlarged, its ratio kept, with a border in one grey.

    Attributes:
        pad: value of the border in all channels, 0 to 255.
        centred: whether the frame lies in the middle; else in the upper left corner.
        rounding: how a side of the frame becomes a whole number of pixels: to the ``nearest``, or
            ``down``. One row more moves scores of small objects by a tenth.
    """

    kind: Literal['letterbox'] = 'letterbox'
    pad: int = Field(default=114, ge=0, le=255)
    centred: bool
    rounding: Literal['nearest', 'down'] = 'nearest'

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB to ``(1, 3, h, w)`` float32."""
        top, left, rows, columns = self._inside(frame.shape)
        bottom, right = self.size[0] - rows - top, self.size[1] - columns - left
        image = cv2.resize(frame, (columns, rows))
        grey = (self.pad,) * 3
        return self._normalised(
            cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=grey)
        )

    def place(self, frame_shape: tuple[int, ...]) -> Placement:
        """Where a frame of a shape ``(H, W, ...)`` lies in the input.

        The two scales differ a little, since what is drawn has a whole number of pixels.
        """
        top, left, rows, columns = self._inside(frame_shape)
        scale = (columns / frame_shape[1], rows / frame_shape[0])
        return Placement(frame_shape, scale, (float(left), float(top)))

    def _inside(self, frame_shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Top, left, height and width of the frame in the input, pixels."""
        scale = min(self.size[0] / frame_shape[0], self.size[1] / frame_shape[1])
        whole = int if self.rounding == 'down' else round
        rows, columns = (max(1, whole(side * scale)) for side in frame_shape[:2])
        if not self.centred:
            return 0, 0, rows, columns
        return (self.size[0] - rows) // 2, (self.size[1] - columns) // 2, rows, columns


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
        top, left, rows, columns = self._part(frame.shape)
        centre = frame[top : top + rows, left : left + columns]
        smooth = cv2.INTER_AREA if rows > self.size[0] else cv2.INTER_CUBIC
        return self._normalised(cv2.resize(centre, self.size[::-1], interpolation=smooth))

    def place(self, frame_shape: tuple[int, ...]) -> Placement:
        """Where a frame of a shape ``(H, W, ...)`` lies: its margins are outside the input."""
        top, left, rows, columns = self._part(frame_shape)
        scale = (self.size[1] / columns, self.size[0] / rows)
        return Placement(frame_shape, scale, (-left * scale[0], -top * scale[1]))

    def _part(self, frame_shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Top, left, height and width of what is cut out of a frame, pixels."""
        height, width = frame_shape[:2]
        scale = min(height, width) / max(self.shorter_side, *self.size)
        rows, columns = (max(1, round(side * scale)) for side in self.size)
        return (height - rows) // 2, (width - columns) // 2, rows, columns


AnyPreprocessing = Stretch | CentreCrop | Letterbox
#: The same as a field of a file, told apart by ``kind``.
Preprocessing = Annotated[AnyPreprocessing, Field(discriminator='kind')]
