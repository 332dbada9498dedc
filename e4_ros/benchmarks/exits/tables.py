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

"""The figures of `e4 bench exits` as rows of words, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

Rows = list[list[str]]
Result = Mapping[str, Any]

NAMES = {
    'ladder': 'ladder',
    'closer': 'ladder with closer looks',
    'full_tracked': 'full network with tracker',
    'full': 'full network, bare',
    'bytetrack': 'every k-th frame, ByteTrack',
    'tracker': 'every k-th frame, our tracker',
    'constant_velocity': 'every k-th frame, moved on',
    'hold': 'every k-th frame, held',
    'smaller_input': 'full network, smaller input',
    'int8': 'full network, int8',
    'score_exits': 'score exits (BranchyNet)',
    'fitted_ladder': 'ladder with fitted exits',
    'fitted_exits': 'fitted exits alone',
}
"""Ways, as people read them."""

LADDER_HEADS = ('stream', 'camera', 'speed-up', 'key frames', 'F1 people', 'full + tracker',
                'full', 'F1 full + tracker', 'delay', 'id switches')  # fmt: skip
WAY_HEADS = ('stream', 'way', 'setting', 'mean ms', 'speed-up', 'F1 people', 'F1 full + tracker',
             'delay', 'id switches')  # fmt: skip
ONLINE_HEADS = ('stream', 'risk asked', 'loss seen', 'of it', 'key frames')
FITTED_HEADS = ('stream', 'way', 'setting', 'mean ms', 'speed-up', 'F1 people', 'interval',
                'F1 teacher', 'key frames')  # fmt: skip
RISK_HEADS = ('stream', 'promise', 'early, before → after', 'loss a frame',
              'loss an early answer', 'closed, frames', 'verdict')  # fmt: skip


def ladder_rows(result: Result) -> Rows:
    """One row a stream: the ladder, and what the full network has there."""
    return [
        [
            row['stream'],
            'moving' if row['moving'] else 'fixed',
            _number(row['speedup'], 2, '×'),
            f'{row["key_frames"]:.0%}',
            _number(row['f1_people']),
            _number(row['f1_people_full_tracked']),
            _number(row['f1_people_full']),
            _number(row['f1_full_tracked']),
            _number(row['delay_frames'], 1),
            _number(row['id_switches'], 0),
        ]
        for row in result['ladder']
    ]


def _way_cells(stream: Result, way: Result) -> list[str]:
    """What every table of ways begins with: stream, way, setting, time, speed-up, F1 by people."""
    return [
        stream['stream'],
        NAMES[way['way']],
        f'{way["setting"]:g}' if way['setting'] else '',
        f'{way["mean_ms"]:.2f}',
        _number(way['speedup'], 2, '×'),
        _number(way['f1_people']),
    ]


def way_rows(result: Result) -> Rows:
    """One row for each way on each stream that is as it was filmed."""
    return [
        [
            *_way_cells(stream, way),
            _number(way['f1_full_tracked']),
            _number(way['delay_frames'], 1),
            _number(way['id_switches'], 0),
        ]
        for stream in result['streams']
        if not stream['perturbed']
        for way in stream['ways']
    ]


def online_rows(result: Result) -> Rows:
    """Stream, risk asked for, loss seen, the one over the other, share of key frames."""
    return [
        [
            row['stream'],
            f'{row["asked"]:.2f}',
            f'{row["seen"]:.3f}',
            f'{row["seen"] / row["asked"]:.2f}',
            f'{row["key_frames"]:.0%}',
        ]
        for row in result['risk_online']
    ]


def fitted_rows(result: Result) -> Rows:
    """One row for each way on each camera that exits were fitted to."""
    return [
        [
            *_way_cells(camera, way),
            _interval(way['f1_people_interval']),
            _number(way['f1_teacher']),
            f'{way["key_frames"]:.0%}',
        ]
        for camera in result['fitted']
        for way in camera['ways']
    ]


def risk_rows(result: Result) -> Rows:
    """Stream, promise, share of early answers, observed loss, when the exits closed, verdict.

    What could not be certified is listed once: its exits are off on every stream.
    """
    return [
        [
            row['stream'],
            'none' if row['alpha'] is None else f'{row["alpha"]:.2f}',
            _early(row),
            f'{row["observed"]:.3f}',
            f'{row["loss_of_early"]:.3f}',
            _closed(row),
            _kept(row),
        ]
        for row in result['risk']
        if row['certified'] or row['alpha'] is None or row['early_share_before'] is None
    ]


def track_words(result: Result) -> str:
    """What the exit `track` costs, in a sentence."""
    costs = ', '.join(
        f'{ms:.2f} ms with {count} objects ({result["track_share"][count]:.0%} of the full network)'
        for count, ms in result['track_ms'].items()
    )
    return f'track: {costs}; full network {result["full_ms"]:.2f} ms, 640×480'


PARTS = (
    ('ladder', LADDER_HEADS, ladder_rows),
    ('risk_online', ONLINE_HEADS, online_rows),
    ('fitted', FITTED_HEADS, fitted_rows),
    ('risk', RISK_HEADS, risk_rows),
)
"""Key of the JSON, heads and rows of what is shown on the terminal."""


def show(result: Result, console: Console) -> None:
    """Print what was measured."""
    for key, heads, rows in PARTS:
        if key in result:
            console.print(_table(heads, rows(result)))
    if 'track_ms' in result:
        console.print(track_words(result))
    if 'peak_memory_mb' in result:
        peak = result['peak_memory_mb']
        console.print(f'peak memory: full {peak["full"]:.0f} MB, ladder {peak["ladder"]:.0f} MB')
    for words in result['missing']:
        console.print(f'not here: {words}', highlight=False)


def _number(value: float | None, digits: int = 3, unit: str = '') -> str:
    return 'n/a' if value is None else f'{value:.{digits}f}{unit}'


def _interval(ends: list[float] | None) -> str:
    return 'n/a' if ends is None else f'{ends[0]:.3f} to {ends[1]:.3f}'


def _early(row: Result) -> str:
    before = row['early_share_before']
    return (
        f'{row["early_share"]:.0%}'
        if before is None
        else f'{before:.0%} → {row["early_share"]:.0%}'
    )


def _closed(row: Result) -> str:
    """By itself, because it does not know the scene; or by the audit."""
    audited = f', audit {_frames(row["tripped_after"])}' if row['tripped'] else ''
    return ('no' if row['closed_after'] is None else _frames(row['closed_after'])) + audited


def _frames(count: int) -> str:
    return f'after {count}' if count > 0 else 'at once'


def _kept(row: Result) -> str:
    if row['alpha'] is None:
        return 'nothing promised'
    if not row['certified']:
        return 'none certified'
    return 'kept' if row['kept'] else 'BROKEN'


def _table(heads: tuple[str, ...], rows: Rows) -> Table:
    table = Table(box=None)
    for index, head in enumerate(heads):
        table.add_column(head, justify='left' if index == 0 else 'right', no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
