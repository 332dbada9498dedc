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

"""Class names: from files of any usual kind, checked, and narrowed to those that are wanted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import yaml

from e4_ros.vision.onnx_file.metadata import MOST_CLASSES, as_names
from e4_ros.vision.onnx_file.read import OnnxFileError

_MOST_BYTES = 1 << 20


def read_names(path: Path) -> tuple[str, ...]:
    """Class names of a file.

    It may be a label file (one name a line), Ultralytics' ``data.yaml``, or JSON: a list of names,
    the ``categories`` of COCO annotations, or ``id2label`` of a Hugging Face ``config.json``.

    Raises:
        OnnxFileError: it is missing, or holds something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OnnxFileError(f'the class names {path} cannot be read: {error.strerror}') from error
    if len(content) > _MOST_BYTES:
        raise OnnxFileError(f'{path} has {len(content)} bytes, which no list of class names has')
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise OnnxFileError(f'{path} is no text: class names are one a line, or YAML') from error
    try:
        if path.suffix in ('.yaml', '.yml'):
            return as_names(_named(yaml.safe_load(text)))
        if path.suffix == '.json':
            return as_names(_named(json.loads(text)))
        return _lines(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise OnnxFileError(f'{path} holds no class names: {error}') from error


def narrow(names: Sequence[str], classes: Sequence[str]) -> tuple[int, ...]:
    """Labels of the classes that are wanted.

    Args:
        names: the network's names by label.
        classes: names that are wanted; capitals do not matter.

    Returns:
        Labels, rising; of a name that several classes have, all of them.

    Raises:
        OnnxFileError: the network does not know one of them, or none is left.
    """
    wanted = [name.strip() for name in classes if name.strip()]
    if not wanted:
        raise OnnxFileError('no class is left: --classes needs at least one name')
    known = [name.casefold() for name in names]
    labels: set[int] = set()
    for name in wanted:
        found = {label for label, each in enumerate(known) if each == name.casefold()}
        if not found:
            raise OnnxFileError(f'the network knows no class {name!r}{_near(name, names)}')
        labels |= found
    return tuple(sorted(labels))


def _near(name: str, names: Sequence[str]) -> str:
    places = {each.casefold(): each for each in names}
    near = [places[each] for each in get_close_matches(name.casefold(), places, 4)]
    if near:
        return f' (near: {", ".join(near)})'
    return f': its {len(names)} classes are {", ".join(names[:10])}{", …" * (len(names) > 10)}'


def _named(value: object) -> object:
    """What of a file's content is the names."""
    if not isinstance(value, dict):
        return value
    for key in ('names', 'id2label'):
        if key in value:
            return value[key]
    if 'categories' in value:
        categories = value['categories']
        if isinstance(categories, list) and all(isinstance(c, dict) for c in categories):
            return [category.get('name') for category in categories]
    if value and all(str(key).isdigit() for key in value):
        return value
    raise ValueError('it has no key "names"')


def _lines(text: str) -> tuple[str, ...]:
    if '\0' in text:
        raise ValueError('it is no text')
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ValueError('it is empty')
    if len(lines) > MOST_CLASSES:
        raise ValueError(f'{len(lines)} lines are more classes than any detector has')
    if '' in lines:
        raise ValueError(f'line {lines.index("") + 1} is empty; one name stands on each line')
    return as_names(lines)
