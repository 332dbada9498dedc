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

"""The file beside a network that says what the network does not: `best.yaml` to `best.onnx`."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from e4_ros.vision.onnx_file.metadata import as_names
from e4_ros.vision.onnx_file.names import read_names
from e4_ros.vision.onnx_file.read import OnnxFileError

_MOST_BYTES = 1 << 20
_Three = tuple[float, float, float]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra='forbid', defer_build=True)


class InputSettings(_Settings):
    """How a frame becomes the network's input; what is left out is the family's own.

    Attributes:
        size: height and width, pixels, or one number for both.
        layout: ``letterbox`` keeps the frame's ratio and fills up with a border, ``stretch`` does
            neither.
        pad: value of a letterbox's border, 0 to 255.
        centred: whether the frame lies in the middle of a letterbox; else in the upper left corner.
        colour: order in which the network takes the channels.
        mean: what is subtracted from each channel, in pixel values 0 to 255.
        std: by what each channel is then divided, likewise.
    """

    size: tuple[PositiveInt, PositiveInt] | None = None
    layout: Literal['letterbox', 'stretch'] | None = None
    pad: int | None = Field(default=None, ge=0, le=255)
    centred: bool | None = None
    colour: Literal['rgb', 'bgr'] | None = None
    mean: _Three | None = None
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None

    @field_validator('size', mode='before')
    @classmethod
    def _both(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int) else value

    @field_validator('mean', 'std', mode='before')
    @classmethod
    def _all_channels(cls, value: Any) -> Any:
        return (value,) * 3 if isinstance(value, (int, float)) else value

    @field_validator('colour', mode='before')
    @classmethod
    def _small(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode='after')
    def _in_pixel_values(self) -> InputSettings:
        if self.std is not None and max(self.std) < 1:
            by_255 = ', '.join(f'{255 * each:.5g}' for each in self.std)
            raise ValueError(f'mean and std are in pixel values, 0 to 255: std is [{by_255}]')
        return self


class Sidecar(_Settings):
    """What somebody says about his network.

    Attributes:
        family: family of the network, as ``--family`` takes it.
        names: class names by label.
        names_file: file with the class names, beside the sidecar.
        input: how a frame becomes the network's input.
        classes: classes that are wanted.
    """

    family: str = ''
    names: tuple[str, ...] = ()
    names_file: str = ''
    input: InputSettings = InputSettings()
    classes: tuple[str, ...] = ()

    @field_validator('names', mode='before')
    @classmethod
    def _list_or_mapping(cls, value: Any) -> Any:
        return as_names(value)

    @model_validator(mode='after')
    def _once(self) -> Sidecar:
        if self.names and self.names_file:
            raise ValueError('names and names_file say the same thing: keep one of them')
        return self


def sidecar_path(model: Path) -> Path | None:
    """The sidecar of an ONNX file, if there is one."""
    for suffix in ('.yaml', '.yml'):
        if (path := model.with_suffix(suffix)).is_file():
            return path
    return None


def read_sidecar(path: Path) -> Sidecar:
    """Read a sidecar, with the names of the file that it names.

    Raises:
        OnnxFileError: it cannot be read, or says something that nobody here understands.
    """
    try:
        content = path.read_bytes()
        if len(content) > _MOST_BYTES:
            raise OnnxFileError(f'the sidecar {path} has {len(content)} bytes: it is another file')
        value = yaml.safe_load(content.decode())
    except OSError as error:
        raise OnnxFileError(f'the sidecar {path} cannot be read: {error.strerror}') from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise OnnxFileError(f'the sidecar {path} is no YAML: {_first_line(error)}') from error
    if not isinstance(value, dict):
        raise OnnxFileError(f'the sidecar {path} holds no keys; it may have {_keys(Sidecar)}')
    try:
        found = Sidecar.model_validate(value)
    except ValidationError as error:
        raise OnnxFileError(f'the sidecar {path} makes no sense: {_problem(error)}') from error
    if found.names_file:
        names = read_names(path.parent / found.names_file)
        found = found.model_copy(update={'names': names, 'names_file': ''})
    return found


def _problem(error: ValidationError) -> str:
    """The first thing that is wrong, with what may have been meant."""
    first = error.errors()[0]
    place = [str(each) for each in first['loc']]
    if first['type'] != 'extra_forbidden':
        return f'{".".join(place)}: {first["msg"]}' if place else first['msg']
    known = InputSettings if place[0] == 'input' else Sidecar
    near = get_close_matches(place[-1], known.model_fields, 3)
    if not near and place[-1] in InputSettings.model_fields:
        return f'{place[-1]} belongs below input:'
    hint = f'near: {", ".join(near)}' if near else f'there are {_keys(known)}'
    return f'nobody here knows {".".join(place)} ({hint})'


def _keys(settings: type[BaseModel]) -> str:
    fields: Iterable[str] = settings.model_fields
    return ', '.join(fields)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
