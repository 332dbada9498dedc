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

"""Options of commands that take a network by its name with weights of one's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from e4_ros.vision.networks.trainable import TrainableModel

# typer reads these at run time, and Python 3.10's typing wants Optional there.
Weights = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        help='Your own weights of a network by name: its state dict or the checkpoint of a '
        'training script, .pth or .safetensors.'
    ),
]
Names = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help='Names of their classes: a file with one a line, data.yaml, or JSON.'),
]
InputSize = Annotated[
    str,
    typer.Option(
        '--input',
        metavar='SIZE',
        help="Height and width of a detector's input in pixels, 480x640, or one number for both.",
    ),
]


def load_own(
    model: str, weights: Path | None, names: Path | None, input_size: tuple[int, int] | None
) -> TrainableModel:
    """The network that is meant, with its own weights or with somebody's; needs torch.

    Args:
        model: name of a network; or an ONNX file or a bundle, which have weights, names and input.
        weights: file of the weights; None for the network's own.
        names: file of the class names; None for those of the network's own weights.
        input_size: height and width of a detector's input; None for its own.

    Raises:
        ModelError: a file cannot be read, or they do not fit together.
    """
    from e4_ros.vision.onnx_file.names import read_names
    from e4_ros.vision.zoo import load_model

    return load_model(
        model,
        'pretrained' if weights is None else str(weights),
        None if names is None else read_names(names),
        input_size,
    )


def size_of(text: str) -> tuple[int, int] | None:
    """A height and a width from ``480x640``, or from one number for both; None for nothing.

    Raises:
        BadParameter: the text is neither one number nor two.
    """
    if not text:
        return None
    found = re.fullmatch(r'(\d{1,5})(?:[x×,](\d{1,5}))?', text.replace(' ', ''))
    if found is None:
        raise typer.BadParameter(
            f'{text!r} is no size: 640 for both, or height and width, 480x640',
            param_hint='--input',
        )
    height, width = found.groups()
    return int(height), int(width or height)
