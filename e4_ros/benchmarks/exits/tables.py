"""The figures of `e4 bench exits` as rows of words, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from e4_ros.benchmarks.exits.plots import CURVES

Rows = list[list[str]]
Result = Mapping[str, Any]


def curve_rows(result: Result) -> Rows:
    """Way, setting, early answers, mean latency, speed-up, both F1, and the cascade's at that."""
    rows = [
        ['full', '', '', f'{result["full_ms"]:.2f}', '1.00',
         f'{result["full_f1_reference"]:.3f}', '1.000', '']
    ]  # fmt: skip
    for name, points in result['curves'].items():
        verdicts = {p['setting']: p for p in result['compared'].get(name, [])}
        for p in points:
            rows.append(
                [
                    name,
                    f'{p["setting"]:g}',
                    f'{p["early_share"]:.0%}',
                    f'{p["mean_ms"]:.2f}',
                    f'{p["speedup"]:.2f}',
                    f'{p["f1_reference"]:.3f}',
                    f'{p["f1_full"]:.3f}',
                    _verdict(verdicts.get(p['setting'])),
                ]
            )
    return rows


CURVE_HEADS = ('way', 'setting', 'early', 'mean ms', 'speed-up', 'F1 teacher', 'F1 full',
               'cascade, as fast')  # fmt: skip


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


RISK_HEADS = ('stream', 'promise', 'early, before → after', 'loss a frame',
              'loss an early answer', 'closed, frames', 'verdict')  # fmt: skip


def beaten_words(result: Result) -> list[str]:
    """For each other curve how many of its settings the cascade beats at equal mean latency."""
    return [
        f'{CURVES[name][0]}: {sum(p["beaten"] for p in points)} of {len(points)}'
        for name, points in result['compared'].items()
    ]


def show(result: Result, console: Console) -> None:
    """Print what was measured."""
    if 'curves' in result:
        console.print(_table(CURVE_HEADS, curve_rows(result)))
        console.print('beaten at equal mean latency: ' + '; '.join(beaten_words(result)))
    if 'risk' in result:
        console.print(_table(RISK_HEADS, risk_rows(result)))
    if 'peak_memory_mb' in result:
        peak = result['peak_memory_mb']
        console.print(f'peak memory: full {peak["full"]:.0f} MB, e4 {peak["cascade"]:.0f} MB')


def _verdict(compared: Mapping[str, Any] | None) -> str:
    if compared is None:
        return ''
    if compared['cascade'] is None:
        return 'never as fast'
    return f'{compared["cascade"]:.3f} {"better" if compared["beaten"] else "not better"}'


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
