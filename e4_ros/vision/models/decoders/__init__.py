"""From a network's raw outputs to detections, described by settings that a file can hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from e4_ros.vision.models.decoders.detr import DetrDecoder
from e4_ros.vision.models.decoders.settings import Decode
from e4_ros.vision.models.decoders.softmax import ClassDecoder
from e4_ros.vision.models.decoders.ssd import SsdDecoder
from e4_ros.vision.models.decoders.yolox import YoloxDecoder

AnyDecoder = ClassDecoder | DetrDecoder | SsdDecoder | YoloxDecoder
#: The same as a field of a file, told apart by ``kind``.
Decoder = Annotated[AnyDecoder, Field(discriminator='kind')]

__all__ = [
    'AnyDecoder',
    'ClassDecoder',
    'Decode',
    'Decoder',
    'DetrDecoder',
    'SsdDecoder',
    'YoloxDecoder',
]
