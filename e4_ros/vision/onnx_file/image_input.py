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

"""Which input of a foreign graph takes the image, and how."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import helper

from e4_ros.vision.onnx_edit import slot_of
from e4_ros.vision.onnx_file.read import OnnxFileError

_LEAST, _MOST = 16, 8192  # sides of an image that anybody detects things in


@dataclass(frozen=True)
class ImageInput:
    """An input for one image.

    Attributes:
        name: its name in the graph.
        size: height and width.
        kind: ONNX type of its elements.
        channels_last: whether it is ``(1, H, W, 3)`` in the place of ``(1, 3, H, W)``.
        single: whether it has no batch dimension, as torchvision's detectors.
    """

    name: str
    size: tuple[int, int]
    kind: int
    channels_last: bool = False
    single: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape with a batch of one."""
        return (1, *self.size, 3) if self.channels_last else (1, 3, *self.size)


def image_input(model: onnx.ModelProto, input_size: tuple[int, int] | None = None) -> ImageInput:
    """The input that takes the image, with its size settled.

    Args:
        model: a model as it was read.
        input_size: height and width, for a file that leaves them open.

    Raises:
        OnnxFileError: there is none, it takes several images or other channels, or its size is
            unknown or another.
    """
    weights = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    images = [each for each in inputs if len(slot_of(each)) in (3, 4)]
    if len(images) != 1:
        listed = ', '.join(f'{i.name} {_words(slot_of(i))}' for i in inputs) or 'none'
        raise OnnxFileError(
            f'a detector takes one image (1, 3, H, W); the inputs of this network are {listed}'
        )
    found, slot = images[0], slot_of(images[0])
    single = len(slot) == 3
    lengths = list(slot if single else slot[1:])
    if not single and slot[0] > 1:
        raise OnnxFileError(
            f'the network is fixed to {slot[0]} images at once: export it with a batch of one '
            '(or an open one), a camera gives one frame at a time'
        )
    last = lengths[2] == 3 and lengths[0] != 3
    channels, rest = (lengths[2], lengths[:2]) if last else (lengths[0], lengths[1:])
    if channels not in (3, -1):
        raise OnnxFileError(
            f'the network takes images of {channels} channels; frames here have 3 (RGB or BGR)'
        )
    return ImageInput(found.name, _size(rest, input_size), slot.kind, last, single)


def set_shape(model: onnx.ModelProto, image: ImageInput) -> None:
    """Fix the shape of the image input."""
    shape = image.shape[1:] if image.single else image.shape
    for place, each in enumerate(model.graph.input):
        if each.name == image.name:
            fixed = helper.make_tensor_value_info(each.name, image.kind, shape)
            model.graph.input[place].CopyFrom(fixed)


def open_size(model: onnx.ModelProto) -> bool:
    """Whether a file leaves height or width of its image open."""
    try:
        image_input(model)
    except OnnxFileError:
        return True
    return False


def _size(lengths: list[int], wanted: tuple[int, int] | None) -> tuple[int, int]:
    if wanted is None:
        if min(lengths) < 1:
            raise OnnxFileError(
                'the file leaves height and width of its input open: say what it was trained '
                'with, as --input 640 or 480x640, or in the sidecar as input: {size: [480, 640]}'
            )
        wanted = lengths[0], lengths[1]
    for fixed, asked in zip(lengths, wanted, strict=True):
        if fixed > 0 and fixed != asked:
            raise OnnxFileError(
                f'the input of the network is fixed to {_words(lengths)}, it cannot be '
                f'{_words(list(wanted))}: leave the size out, or export it anew'
            )
    if not all(_LEAST <= side <= _MOST for side in wanted):
        raise OnnxFileError(
            f'an input of {_words(list(wanted))} pixels is none that things are detected in '
            f'({_LEAST} to {_MOST})'
        )
    return wanted


def _words(lengths: list[int] | tuple[int, ...]) -> str:
    return '×'.join('?' if length < 0 else str(length) for length in lengths)
