"""From a network's raw outputs to detections, described by settings that a file can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from e4_ros.vision.detections import Detections
from e4_ros.vision.models.ssd_boxes import SsdSettings, anchors, decode_ssd

#: ``(outputs by name, shape of the frame (H, W, ...), least score) -> detections``
Decode = Callable[[Mapping[str, np.ndarray], tuple[int, ...], float], Detections]


class SsdDecoder(SsdSettings):
    """Boxes from ``encodings`` ``(1, A, 4)`` and ``logits`` ``(1, A, C)`` around fixed anchors."""

    kind: Literal['ssd'] = 'ssd'
    output_names: ClassVar[tuple[str, ...]] = ('encodings', 'logits')

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width."""
        around = anchors(size, self)

        def decode(
            outputs: Mapping[str, np.ndarray], frame_shape: tuple[int, ...], min_score: float
        ) -> Detections:
            encodings, logits = outputs['encodings'][0], outputs['logits'][0]
            return decode_ssd(encodings, logits, around, self, frame_shape, min_score)

        return decode


class ClassDecoder(BaseModel):
    """The likeliest class from ``logits`` ``(1, C)``; empty if its probability is too low."""

    model_config = ConfigDict(frozen=True, extra='forbid', defer_build=True)

    kind: Literal['softmax'] = 'softmax'
    output_names: ClassVar[tuple[str, ...]] = ('logits',)

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width, all alike."""
        return _likeliest


Decoder = Annotated[SsdDecoder | ClassDecoder, Field(discriminator='kind')]


def _likeliest(
    outputs: Mapping[str, np.ndarray], frame_shape: tuple[int, ...], min_score: float
) -> Detections:
    logits = outputs['logits'][0]
    label = int(logits.argmax())
    score = float(1 / np.exp(logits - logits[label]).sum())
    if score < min_score:
        return Detections.empty()
    return Detections.of_class(label, score, frame_shape)
