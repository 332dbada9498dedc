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

"""The families of detectors that are known here, and how a frame becomes the input of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal

from e4_ros.vision.models.preprocessing import AnyPreprocessing, CentreCrop, Letterbox, Stretch
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.onnx_file.sidecar import InputSettings

_Three = tuple[float, float, float]
_ZERO: _Three = (0.0, 0.0, 0.0)
_ONE: _Three = (1.0, 1.0, 1.0)
_BY_255: _Three = (255.0, 255.0, 255.0)
_MEAN_RGB: _Three = (123.675, 116.28, 103.53)
_STD_RGB: _Three = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Look:
    """How frames look to a network, but for their size.

    Attributes:
        layout: ``letterbox``, ``stretch``, or ``crop`` for classifiers.
        centred: whether the frame lies in the middle of a letterbox.
        pad: value of a letterbox's border.
        rounding: how sides of a letterbox become whole pixels.
        colour: order of the channels.
        mean: what is subtracted from each channel, in pixel values.
        std: by what it is divided.
    """

    layout: Literal['letterbox', 'stretch', 'crop'] = 'stretch'
    centred: bool = False
    pad: int = 114
    rounding: Literal['nearest', 'down'] = 'nearest'
    colour: Literal['rgb', 'bgr'] = 'rgb'
    mean: _Three = _ZERO
    std: _Three = _BY_255

    def changed(self, wanted: InputSettings) -> Look:
        """The same with what somebody says about it."""
        said = wanted.model_dump(exclude={'size'}, exclude_none=True)
        return replace(self, **said)

    def preprocessing(self, size: tuple[int, int]) -> AnyPreprocessing:
        """What turns frames into an input of a height and width."""
        colour, mean, std = self.colour, self.mean, self.std
        if self.layout == 'letterbox':
            return Letterbox(
                size=size,
                mean=mean,
                std=std,
                channels=colour,
                pad=self.pad,
                centred=self.centred,
                rounding=self.rounding,
            )
        if self.layout == 'stretch':
            return Stretch(size=size, mean=mean, std=std, channels=colour)
        shorter = round(min(size) * 256 / 224) if self.mean != _ZERO else min(size)
        return CentreCrop(size=size, mean=mean, std=std, channels=colour, shorter_side=shorter)

    def words(self) -> str:
        """The look in a few words."""
        where = 'in the middle' if self.centred else 'in the upper left corner'
        layout = {
            'letterbox': f'letterbox with the frame {where} and a border of {self.pad}',
            'stretch': 'stretched',
            'crop': 'its centre cut out',
        }[self.layout]
        if self.mean == _ZERO and len(set(self.std)) == 1:
            values = f'values 0 to {255 / self.std[0]:g}'
        else:
            values = f'mean {_numbers(self.mean)} and std {_numbers(self.std)}'
        return f'{layout}, {self.colour.upper()}, {values}'


STRETCHED = Look()
STRETCHED_255 = Look(std=_ONE)
NANODET_FIRST = Look(  # its first networks; those called Plus take frames stretched
    'letterbox',
    centred=True,
    pad=0,
    rounding='down',
    colour='bgr',
    mean=_MEAN_RGB[::-1],
    std=_STD_RGB[::-1],
)
IMAGENET = Look(mean=_MEAN_RGB, std=_STD_RGB)
CENTRED = Look('letterbox', centred=True)
CORNER = Look('letterbox', rounding='down')
_YOLOX = Look('letterbox', rounding='down', colour='bgr', std=_ONE)
_IMAGENET_BGR = Look(colour='bgr', mean=_MEAN_RGB[::-1], std=_STD_RGB[::-1])
_IMAGENET_CORNER = Look('letterbox', pad=116, rounding='down', mean=_MEAN_RGB, std=_STD_RGB)


@dataclass(frozen=True)
class Family:
    """A family of detectors.

    Attributes:
        name: name, as ``--family`` takes it.
        title: name, as its makers write it.
        head: how its answer is read: ``yolo`` (boxes and classes), ``objectness``, ``yolox``,
            ``distribution``, ``detr``, ``pair`` (boxes and scores apart), ``rows``, ``classes``.
        look: how frames look to it.
        scores: how a DETR's logits become scores.
    """

    name: str
    title: str
    head: str
    look: Look
    scores: Literal['sigmoid', 'softmax'] = 'sigmoid'


_FAMILIES = (
    Family('yolox', 'YOLOX', 'yolox', _YOLOX),
    Family('yolov5', 'YOLOv5', 'objectness', CENTRED),
    Family('yolov6', 'YOLOv6', 'objectness', CENTRED),
    Family('yolov7', 'YOLOv7', 'objectness', CENTRED),
    Family('yolov8', 'YOLOv8, v9, 11, 12 or alike', 'yolo', CENTRED),
    Family('yolov10', 'YOLOv10, 26 or alike', 'rows', CENTRED),
    Family('yolo7', 'YOLOv7 of LibreYOLO', 'pair', CORNER),
    Family('yolo9', 'YOLOv9 of LibreYOLO', 'yolo', CORNER),
    Family('rtdetr', 'RT-DETR', 'detr', STRETCHED),
    Family('dfine', 'D-FINE, DEIM or alike', 'detr', STRETCHED),
    Family('deim', 'DEIM', 'detr', STRETCHED),
    Family('deimv2', 'DEIMv2', 'detr', STRETCHED),
    Family('deimv2_dinov3', 'DEIMv2 on DINOv3', 'detr', IMAGENET),
    Family('rfdetr', 'RF-DETR', 'detr', IMAGENET),
    Family('lwdetr', 'LW-DETR', 'detr', IMAGENET),
    Family('detr', 'DETR', 'detr', IMAGENET, 'softmax'),
    Family('conditional_detr', 'Conditional DETR', 'detr', IMAGENET),
    Family('deformable_detr', 'Deformable DETR', 'detr', IMAGENET),
    Family('dinodetr', 'DINO-DETR', 'detr', IMAGENET),
    Family('nanodet', 'NanoDet', 'distribution', _IMAGENET_BGR),
    Family('picodet', 'PicoDet', 'distribution', IMAGENET),
    Family('ppyoloe', 'PP-YOLOE', 'pair', IMAGENET),
    Family('ppyoloe_plus', 'PP-YOLOE+', 'pair', STRETCHED),
    Family('yolonas', 'YOLO-NAS', 'pair', CENTRED),
    Family('damoyolo', 'DAMO-YOLO', 'pair', Look(colour='bgr', std=_ONE)),
    Family(
        'rtmdet',
        'RTMDet',
        'pair',
        Look('letterbox', colour='bgr', mean=_MEAN_RGB[::-1], std=_STD_RGB[::-1]),
    ),
    Family('efficientdet', 'EfficientDet', 'pair', _IMAGENET_CORNER),
    Family('retinanet', 'RetinaNet', 'pair', _IMAGENET_CORNER),
    Family('fcos', 'FCOS', 'pair', _IMAGENET_CORNER),
    Family('ssd', 'SSD', 'pair', Look(mean=(123.0, 117.0, 104.0), std=_ONE)),
    Family('ssd_mobilenet', 'SSD on MobileNet', 'pair', Look(mean=(127.0,) * 3, std=(128.0,) * 3)),
    Family('ultraface', 'UltraFace', 'pair', Look(mean=(127.0,) * 3, std=(128.0,) * 3)),
    Family('yolov4', 'YOLOv4', 'pair', STRETCHED),
    Family('yolov3', 'YOLOv3 of Keras', 'pair', Look('letterbox', centred=True, pad=128)),
    Family('torchvision', 'a detector of torchvision', 'rows', STRETCHED),
    Family('tensorflow', 'a detector of TensorFlow', 'rows', STRETCHED_255),
    Family('detectron2', 'a detector of Detectron2', 'rows', Look(colour='bgr', std=_ONE)),
    Family('classifier', 'a classifier', 'classes', replace(IMAGENET, layout='crop')),
)
FAMILIES = {family.name: family for family in _FAMILIES}

_ALIASES = {
    'yolo': 'yolov8',
    'yolo8': 'yolov8',
    'yolov9': 'yolov8',
    'yolov11': 'yolov8',
    'yolo11': 'yolov8',
    'yolov12': 'yolov8',
    'yolo12': 'yolov8',
    'yolo5': 'yolov5',
    'yolo6': 'yolov6',
    'yolo10': 'yolov10',
    'yolo26': 'yolov10',
    'yolov26': 'yolov10',
    'yolo9_e2e': 'yolo9',
    'yolo9_p2': 'yolo9',
    'rtdetrv2': 'rtdetr',
    'rtdetrv4': 'rtdetr',
    'yolos': 'detr',
    'faster_rcnn': 'torchvision',
    'nanodet_plus': 'nanodet',
}


def family_of(name: str) -> Family:
    """The family that somebody names.

    Raises:
        OnnxFileError: there is none of that name; it says the near ones.
    """
    key = name.strip().lower().replace('-', '_').replace(' ', '')
    found = FAMILIES.get(_ALIASES.get(key, key)) or FAMILIES.get(key.replace('_', ''))
    if found is None:
        near = get_close_matches(key, [*FAMILIES, *_ALIASES], 4)
        hint = f'near: {", ".join(near)}' if near else f'there are {", ".join(FAMILIES)}'
        raise OnnxFileError(f'no family of detectors is called {name!r} here ({hint})')
    return found


def _numbers(values: _Three) -> str:
    return f'{values[0]:g}' if len(set(values)) == 1 else f'({", ".join(f"{v:g}" for v in values)})'
