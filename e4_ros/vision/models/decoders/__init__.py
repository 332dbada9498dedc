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

"""From a network's raw outputs to detections, described by settings that a file can hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from e4_ros.vision.models.decoders.corners import CornersDecoder
from e4_ros.vision.models.decoders.detr import DetrDecoder
from e4_ros.vision.models.decoders.distribution import DistributionDecoder
from e4_ros.vision.models.decoders.faster_rcnn import FasterRcnnDecoder
from e4_ros.vision.models.decoders.finished import RowsDecoder, TripleDecoder
from e4_ros.vision.models.decoders.retinanet import FcosDecoder, RetinanetDecoder
from e4_ros.vision.models.decoders.settings import Decode
from e4_ros.vision.models.decoders.softmax import ClassDecoder
from e4_ros.vision.models.decoders.ssd import SsdDecoder
from e4_ros.vision.models.decoders.ssd_softmax import SsdSoftmaxDecoder
from e4_ros.vision.models.decoders.yolo import YoloDecoder, YoloObjectnessDecoder
from e4_ros.vision.models.decoders.yolox import YoloxDecoder

AnyDecoder = (
    ClassDecoder
    | CornersDecoder
    | DetrDecoder
    | DistributionDecoder
    | FasterRcnnDecoder
    | FcosDecoder
    | RetinanetDecoder
    | RowsDecoder
    | SsdDecoder
    | SsdSoftmaxDecoder
    | TripleDecoder
    | YoloDecoder
    | YoloObjectnessDecoder
    | YoloxDecoder
)
#: The same as a field of a file, told apart by ``kind``.
Decoder = Annotated[AnyDecoder, Field(discriminator='kind')]

__all__ = [
    'AnyDecoder',
    'ClassDecoder',
    'CornersDecoder',
    'Decode',
    'Decoder',
    'DetrDecoder',
    'DistributionDecoder',
    'FasterRcnnDecoder',
    'FcosDecoder',
    'RetinanetDecoder',
    'RowsDecoder',
    'SsdDecoder',
    'SsdSoftmaxDecoder',
    'TripleDecoder',
    'YoloDecoder',
    'YoloObjectnessDecoder',
    'YoloxDecoder',
]
