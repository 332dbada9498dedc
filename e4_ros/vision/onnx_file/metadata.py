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

"""What an exporter wrote into a file about it: class names, size, family, task.

Ultralytics writes ``names`` as the text of a Python dict, ``imgsz``, ``stride``, ``task`` and
``end2end``; LibreYOLO writes JSON ``names``, ``model_family``, ``nc``, ``imgsz_h``, ``imgsz_w``,
``task`` and ``letterbox_pad``. The text comes from strangers: it is read as a literal, never run.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx

MOST_CLASSES = 50_000  # ImageNet-21k has 21,843
_MOST_TEXT = 1 << 20  # characters: 50,000 names of twenty each
_MOST_LETTERS = 200


@dataclass(frozen=True)
class Metadata:
    """What a file says of itself; empty where it says nothing.

    Attributes:
        names: class names by label.
        family: family of the network, as the exporter calls it.
        exporter: who wrote the file: ``ultralytics``, ``libreyolo`` or nothing.
        task: ``detect``, ``segment``, ``pose``, ``obb``, ``classify`` ….
        size: height and width of the input, pixels.
        classes: number of classes.
        centred: whether the frame lies in the middle of a letterbox; None where it is not said.
        raw: every key with its text.
        problems: sentences on what is there but cannot be read.
    """

    names: tuple[str, ...] = ()
    family: str = ''
    exporter: str = ''
    task: str = ''
    size: tuple[int, int] | None = None
    classes: int | None = None
    centred: bool | None = None
    raw: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read_metadata(model: onnx.ModelProto) -> Metadata:
    """Read a file's metadata; what is damaged is left out and named in `Metadata.problems`."""
    raw = {entry.key: entry.value for entry in model.metadata_props}
    problems: list[str] = []
    names = _names(raw.get('names', ''), problems)
    size = _size(raw, problems)
    classes = _number(raw.get('nc') or raw.get('nb_classes'))
    if names and classes is not None and classes != len(names):
        problems.append(f'its metadata has {len(names)} names for {classes} classes')
        names = ()
    exporter = ''
    if 'libreyolo_version' in raw or 'model_family' in raw:
        exporter = 'libreyolo'
    elif raw.get('author', '').lower() == 'ultralytics' or {'names', 'stride'} <= set(raw):
        exporter = 'ultralytics'
    pad = raw.get('letterbox_pad', '').lower()
    return Metadata(
        names=names,
        family=raw.get('model_family', '').lower(),
        exporter=exporter,
        task=raw.get('task', '').lower(),
        size=size,
        classes=classes,
        centred=pad.startswith('cent') if pad else None,
        raw=raw,
        problems=tuple(problems),
    )


def literal(text: str) -> object:
    """The value of a literal of Python or JSON.

    Raises:
        ValueError: it is none, or longer than any list of classes.
    """
    if len(text) > _MOST_TEXT:
        raise ValueError(f'{len(text)} characters are more than any list of classes has')
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f'it is no list of names: {text[:40]!r}') from error


def as_names(value: object) -> tuple[str, ...]:
    """Class names of a list, or of a mapping of labels to names.

    Raises:
        ValueError: says what is no list of names.
    """
    if isinstance(value, Mapping):
        value = _in_order(value)
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError('class names are a list, or a mapping of labels from 0 to names')
    if len(value) > MOST_CLASSES:
        raise ValueError(f'{len(value)} classes are more than any detector has')
    if not all(isinstance(name, (str, int, float)) for name in value):
        raise ValueError('one of the class names is no text')
    names = tuple(str(name).strip() for name in value)
    for name in names:
        if len(name) > _MOST_LETTERS or not name.isprintable():
            raise ValueError(f'{name[:40]!r} is no class name')
    if '' in names:
        raise ValueError(f'the class {names.index("")}, counted from 0, has an empty name')
    return names


def _in_order(names: Mapping[object, object]) -> list[object]:
    """Names by rising label.

    Raises:
        ValueError: a label is missing or no number.
    """
    try:
        by_label = {int(str(label)): name for label, name in names.items()}
    except ValueError as error:
        raise ValueError(f'the labels of class names must be numbers: {error}') from error
    if missing := set(range(len(by_label))) - set(by_label):
        raise ValueError(f'class names are counted from 0 on, and {min(missing)} is missing')
    return [by_label[label] for label in range(len(by_label))]


def _names(text: str, problems: list[str]) -> tuple[str, ...]:
    if not text:
        return ()
    try:
        return as_names(literal(text))
    except ValueError as error:
        problems.append(f'the class names in its metadata cannot be read ({error})')
        return ()


def _size(raw: Mapping[str, str], problems: list[str]) -> tuple[int, int] | None:
    height, width = _number(raw.get('imgsz_h')), _number(raw.get('imgsz_w'))
    if height and width:
        return height, width
    if not (text := raw.get('imgsz', '')):
        return None
    try:
        value = literal(text)
    except ValueError:
        value = None
    if isinstance(value, int) and value > 0:
        return value, value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        first, second = value
        if isinstance(first, int) and isinstance(second, int) and min(first, second) > 0:
            return first, second
    problems.append(f'the size in its metadata cannot be read ({text[:40]!r})')
    return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
