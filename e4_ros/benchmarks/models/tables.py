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

"""The figures of `e4 bench models` as rows of words, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

Rows = list[list[str]]
Result = Mapping[str, Any]

MODEL_HEADS = ('file', 'family', 'classes', 'input', 'stages', 'its file', 'full, ms', 'boxes',
               'same', 'worst IoU', 'worst score')  # fmt: skip
STREAM_HEADS = ('stream', 'file', 'camera', 'speed-up', 'F1', 'boxes', 'key frames', 'full, ms',
                'key, ms', 'track, ms')  # fmt: skip


def model_rows(result: Result) -> Rows:
    """One row a file: what it is, and whether it is read rightly."""
    return [
        [
            model['file'],
            model['family'],
            str(model['classes']),
            '×'.join(map(str, model['input'])),
            f'{model["chain_max_diff"]:.2g}',
            _number(model['original_max_diff']),
            f'{model["full_ms"]:.1f}',
            *_reference_cells(model['reference']),
        ]
        for model in result['models']
    ]


def stream_rows(result: Result) -> Rows:
    """One row for each stream and file: the ladder, and the full network with the tracker."""
    return [
        [
            stream['stream'],
            model['file'],
            'moving' if stream['moving'] else 'fixed',
            f'{stream["speedup"]:.2f}×',
            f'{stream["f1_full_tracked"]:.3f}',
            str(stream['boxes']),
            f'{stream["key_frames"]:.0%}',
            _ms(stream['full_ms']),
            _ms(stream['key_ms']),
            _ms(stream['track_ms']),
        ]
        for model in result['models']
        for stream in model['streams']
    ]


def show(result: Result, console: Console) -> None:
    """Print what was measured, and what was not."""
    if result['models']:
        console.print(_table(MODEL_HEADS, model_rows(result)))
        console.print(_table(STREAM_HEADS, stream_rows(result)))
    for line in notes(result):
        console.print(line, highlight=False)


def notes(result: Result) -> list[str]:
    """What could not be measured, in sentences."""
    failed = [f'not read: {one["file"]}: {one["why"]}' for one in result['failed']]
    plain = [
        f'{model["file"]}: boxes were not compared: {model["reference"]["why"]}'
        for model in result['models']
        if 'why' in model['reference']
    ]
    return [*failed, *plain, *(f'not here: {words}' for words in result['missing'])]


def _reference_cells(found: Result) -> list[str]:
    if not found.get('boxes'):
        return ['0' if 'boxes' in found else 'n/a', *['n/a'] * 3]
    return [
        str(found['boxes']),
        f'{found["same"]:.1%}',
        f'{found["worst_iou"]:.4f}',
        f'{found["worst_score"]:.4f}',
    ]


def _number(value: float | None) -> str:
    return 'n/a' if value is None else f'{value:.2g}'


def _ms(value: float | None) -> str:
    return 'n/a' if value is None else f'{value:.2f}'


def _table(heads: tuple[str, ...], rows: Rows) -> Table:
    table = Table(box=None)
    for index, head in enumerate(heads):
        table.add_column(head, justify='left' if index < 2 else 'right', no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
