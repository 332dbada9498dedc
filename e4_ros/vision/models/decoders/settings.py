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

"""What all decoders have in common: settings, checks, and the last step to detections."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from e4_ros.vision.boxes import nms
from e4_ros.vision.detections import Detections
from e4_ros.vision.placement import Placement

#: ``(outputs by name, where the frame lies in the input, least score) -> detections``
Decode = Callable[[Mapping[str, np.ndarray], Placement, float], Detections]

_MOST_COMPARED = 1000  # boxes that suppression looks at, as in torchvision and YOLOX


class DecoderSettings(BaseModel):
    """Settings of a decoder, which a bundle keeps."""

    model_config = ConfigDict(frozen=True, extra='forbid', defer_build=True)


class BoxSettings(DecoderSettings):
    """What decoders of boxes have in common.

    Attributes:
        most: greatest number of boxes in a frame.
    """

    most: PositiveInt = 300

    def best(
        self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, placement: Placement
    ) -> Detections:
        """Detections of boxes in pixels of the input, the best ones where there are too many.

        Args:
            boxes: ``(N, 4)``, x0, y0, x1, y1 in pixels of the input.
            scores: ``(N,)``.
            labels: ``(N,)``.
            placement: where the frame lies in the input.
        """
        kept = np.argsort(-scores, kind='stable')[: self.most]
        return placement.detections(boxes[kept], scores[kept], labels[kept])


class NmsSettings(BoxSettings):
    """What decoders have in common whose boxes suppress each other.

    Attributes:
        nms_iou: greatest overlap of two boxes of one class.
    """

    nms_iou: PositiveFloat = 0.5

    def suppressed(
        self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, placement: Placement
    ) -> Detections:
        """The same as `best`, without boxes that overlap a better one of their class."""
        if len(scores) > _MOST_COMPARED:
            best = np.argpartition(-scores, _MOST_COMPARED)[:_MOST_COMPARED]
            boxes, scores, labels = boxes[best], scores[best], labels[best]
        kept = nms(boxes, scores, self.nms_iou, labels, self.most)
        return placement.detections(boxes[kept], scores[kept], labels[kept])


def check_shape(
    outputs: Mapping[str, np.ndarray], name: str, expected: tuple[int | None, ...], why: str
) -> np.ndarray:
    """An output of the network, of the shape that a decoder takes.

    Args:
        outputs: outputs by name.
        name: name of the one that is wanted.
        expected: shape that it must have; None where any length will do.
        why: what follows from where, for the message.

    Raises:
        ValueError: it is missing or has another shape.
    """
    output = outputs.get(name)
    if output is None:
        raise ValueError(f'the network has no output {name!r}, only {", ".join(outputs)}')
    if len(output.shape) != len(expected) or any(
        e is not None and e != s for e, s in zip(expected, output.shape, strict=True)
    ):
        wanted = '×'.join('N' if length is None else str(length) for length in expected)
        got = '×'.join(map(str, output.shape))
        raise ValueError(f'output {name!r} of the network is {got}, not {wanted}: {why}')
    return output


def check_rows(
    outputs: Mapping[str, np.ndarray], name: str, expected: tuple[int | None, ...], why: str
) -> np.ndarray:
    """The same for an output that may have a batch of one before its shape, or none."""
    output = outputs.get(name)
    if output is not None and output.ndim == len(expected) + 1 and len(output) == 1:
        outputs = {name: output[0]}
    return check_shape(outputs, name, expected, why)
