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

"""Labels in the MOT format: one box a line, as the benchmark of that name and CVAT write them.

``frame, id, x, y, width, height, flag, ...``: frames count from 1, x and y are the upper left
corner in pixels, flag 0 makes an ignore region. What follows differs between the benchmark's years
(world coordinates, or class and visibility) and is not read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from e4_ros.evaluation.metrics.labels import FrameLabels, Labels, LabelsError

_PEOPLE = ('person', 'pedestrian', 'people')
_LAST_FRAME = 1_000_000  # nine hours at 30 frames a second; every frame up to the last takes memory
_WIDEST = 1_000_000
_FORMAT = 'a line is "frame, id, x, y, width, height, flag", with frames from 1'


@dataclass(frozen=True)
class _Line:
    frame: int
    name: int
    box: tuple[float, float, float, float]
    counted: bool


def read_mot(path: Path, label: int = 0) -> Labels:
    """Read a file of labels.

    The judged frames are those from the first labelled one to the last: what lies outside may show
    objects that nobody labelled. Frames between them without a line show none.

    Args:
        path: Path of the file, `gt.txt` in the benchmark.
        label: Class of the boxes, an index into the model's ``class_names``.

    Raises:
        LabelsError: the file is no such labels; the message names the line and what to do.
        OSError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise LabelsError(f'{path} is no text; labels are: {_FORMAT}') from error
    by_frame: dict[int, list[_Line]] = {}
    seen: dict[tuple[int, int], int] = {}
    for number, words in enumerate(text.splitlines(), 1):
        if not words.strip():
            continue
        line = _parsed(words, f'{path}, line {number}')
        before = seen.setdefault((line.frame, line.name), number)
        if before != number:
            raise LabelsError(
                f'{path}, line {number}: object {line.name} is in frame {line.frame} already, by '
                f'line {before}; an object has one box in a frame, so remove one of the two'
            )
        by_frame.setdefault(line.frame, []).append(line)
    if not by_frame:
        raise LabelsError(f'{path} holds no labels; {_FORMAT}')
    first, last = min(by_frame), max(by_frame)
    frames = [_frame(by_frame.get(frame, []), label) for frame in range(first, last + 1)]
    return Labels(path.name, frames, first - 1, frozenset({label}), _notes(path.name, frames))


def class_of_labels(class_names: Sequence[str], wanted: str = '') -> int:
    """The class that labels without one are of: an index into a model's ``class_names``.

    Args:
        class_names: Names of the model's classes.
        wanted: Name of the class; empty for the model's only class, or its people.

    Raises:
        LabelsError: there is no such class, or none that can be meant.
    """
    if not wanted and len(class_names) == 1:
        return 0
    named = (wanted.lower(),) if wanted else _PEOPLE
    found = [index for index, name in enumerate(class_names) if name.lower() in named]
    if len(found) != 1:
        some = ', '.join(class_names[:10]) + (', …' if len(class_names) > 10 else '')
        raise LabelsError(
            f'the model has no class "{wanted}"; its classes are {some}'
            if wanted
            else f'labels in the MOT format name no class, and the model has several: name theirs '
            f'with --labels-class, one of {some}'
        )
    return found[0]


def _parsed(words: str, where: str) -> _Line:
    fields = [word.strip() for word in words.split(',')]
    if len(fields) < 6:
        raise LabelsError(
            f'{where}: {len(fields)} values between commas, where 6 are needed; {_FORMAT}'
        )
    try:
        frame, name, x, y, width, height, *flag = (float(field) for field in fields[:7])
    except ValueError as error:
        raise LabelsError(f'{where}: "{words.strip()[:80]}" is not all numbers; {_FORMAT}') from (
            error
        )
    if not all(map(math.isfinite, (frame, name, x, y, width, height, *flag))):
        raise LabelsError(f'{where}: a value is not finite; remove the line or correct it')
    if frame != int(frame) or not 1 <= frame <= _LAST_FRAME:
        raise LabelsError(
            f'{where}: frame {fields[0]}, but frames count 1, 2, 3, …, {_LAST_FRAME} at most; a '
            'time is no frame'
        )
    if name != int(name) or name < 0:
        raise LabelsError(
            f'{where}: object {fields[1]}, but objects are numbered 0, 1, 2, …; -1 stands in files '
            'of detections, which are no labels'
        )
    if width <= 0 or height <= 0:
        raise LabelsError(
            f'{where}: a box of {fields[4]}×{fields[5]} pixels; width and height are positive, and '
            'the 5th and 6th value, not the lower right corner'
        )
    if max(abs(x), abs(y), width, height) > _WIDEST:
        raise LabelsError(f'{where}: a box of more than {_WIDEST} pixels is in no picture')
    return _Line(int(frame), int(name), (x, y, x + width, y + height), not flag or flag[0] != 0)


def _frame(lines: list[_Line], label: int) -> FrameLabels:
    return FrameLabels.of(
        np.array([line.box for line in lines], float),
        np.array([line.name for line in lines], np.int64),
        np.array([line.counted for line in lines], bool),
        label,
    )


def _notes(name: str, frames: list[FrameLabels]) -> list[str]:
    if any(frame.counted.any() for frame in frames):
        return []
    return [
        f'{name}: every box is an ignore region (7th value 0), so there is nothing to be found and '
        'no figure can be given'
    ]
