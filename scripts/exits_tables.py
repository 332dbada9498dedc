#!/usr/bin/env python3
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

"""Put the figures of `e4 bench exits` and `models` into docs: tables between marks, one picture.

Usage: python scripts/exits_tables.py out/bench/exits.json (or models.json)

A table stands between ``<!-- exits: NAME -->`` and ``<!-- end -->`` in README.md and docs/*.md;
what is between them is replaced. The picture is docs/images/exits_curves.png (matplotlib, which the
extra `labels` brings).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from e4_ros.benchmarks.exits import tables
from e4_ros.benchmarks.exits.plots import LOOKS, quality_of, shown_streams
from e4_ros.benchmarks.models import tables as models_tables

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / 'docs' / 'images' / 'exits_curves.png'
MARKS = {'circle': 'o', 'star': '*', 'square': 's', 'diamond': 'D', 'triangle-up': '^',
         'hexagon': 'h', 'x': 'x'}  # fmt: skip
LINES = {'solid': '-', 'dash': '--', 'dot': ':'}
COLUMNS = 3

Result = Mapping[str, Any]


def ladder(result: Result) -> str:
    """One row a stream."""
    return table(tables.LADDER_HEADS, tables.ladder_rows(result))


def risk_online(result: Result) -> str:
    """One row a stream, one column a risk: loss seen, and key frames."""
    rows = result['risk_online']
    risks = sorted({row['asked'] for row in rows})
    names = dict.fromkeys(row['stream'] for row in rows)
    said = {
        (row['stream'], row['asked']): f'{row["seen"]:.3f} ({row["key_frames"]:.0%})'
        for row in rows
    }
    heads = ['stream', *(f'asked {risk:.2f}' for risk in risks)]
    return table(heads, [[name, *(said[name, risk] for risk in risks)] for name in names])


def peers(result: Result) -> str:
    """All ways on the streams that people labelled."""
    labelled = {s['stream'] for s in shown_streams(result) if quality_of(s)[0] == 'f1_people'}
    rows = [row for row in tables.way_rows(result) if row[0] in labelled]
    return table(tables.WAY_HEADS, rows)


def closer(result: Result) -> str:
    """What closer looks are worth on vtest."""
    rows = [[f'{row["passes"]:.2f}', f'{row["f1_people"]:.3f}'] for row in result['closer']]
    return table(['passes of the network a frame', 'F1 by people, vtest 0–449'], rows)


def fitted(result: Result) -> str:
    """Fitted exits and the bare ladder."""
    return table(tables.FITTED_HEADS, tables.fitted_rows(result))


def risk(result: Result) -> str:
    """Offline promises."""
    return table(tables.RISK_HEADS, tables.risk_rows(result))


def track(result: Result) -> str:
    """What following costs."""
    return tables.track_words(result)


def machine(result: Result) -> str:
    """What was measured on, when, and what was not there."""
    words = f'{result["machine"]["name"]}, {result["machine"]["threads"]} thread, '
    minutes = sum(result['seconds'].values()) / 60
    return f'{words}{result["measured"]}, {minutes:.0f} minutes in all.'


def detectors(result: Result) -> str:
    """What brought detectors are read as, one row a file."""
    return table(models_tables.MODEL_HEADS, models_tables.model_rows(result))


def detector_streams(result: Result) -> str:
    """What the ladder saves with them, one row for each file and stream."""
    return table(models_tables.STREAM_HEADS, models_tables.stream_rows(result))


def detectors_machine(result: Result) -> str:
    """What they were measured on, and when."""
    about = result['machine']
    return f'{about["cpu"]}, {about["threads"]} thread, {result["measured"]}.'


TABLES: dict[str, tuple[str, Callable[[Result], str]]] = {
    'machine': ('seconds', machine),
    'ladder': ('ladder', ladder),
    'risk online': ('risk_online', risk_online),
    'peers': ('streams', peers),
    'track': ('track_ms', track),
    'closer': ('closer', closer),
    'fitted': ('fitted', fitted),
    'risk': ('risk', risk),
    'detectors': ('models', detectors),
    'detector streams': ('models', detector_streams),
    'detectors machine': ('models', detectors_machine),
}
"""Name between the marks → key of the JSON that it needs, and its text."""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ['---', *['---:'] * (len(heads) - 1)], *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def filled(text: str, result: Result) -> str:
    """The text with every table that the figures have; others stay."""

    def put(found: re.Match[str]) -> str:
        key, words = TABLES[found[1]]
        if key not in result:
            return found[0]
        return f'<!-- exits: {found[1]} -->\n{words(result)}\n<!-- end -->'

    return re.sub(r'<!-- exits: ([a-z ]+) -->\n.*?<!-- end -->', put, text, flags=re.DOTALL)


def draw(result: Result, path: Path) -> None:
    """For each stream the quality of every way over its speed-up."""
    streams = shown_streams(result)
    rows = -(-len(streams) // COLUMNS)
    figure, axes = plt.subplots(
        rows, COLUMNS, figsize=(12, 3.3 * rows + 0.6), squeeze=False, layout='constrained'
    )
    named = {}
    for axis, stream in zip(axes.flat, streams, strict=False):
        key, judge = quality_of(stream)
        for name, (color, line, mark) in LOOKS.items():
            points = sorted(
                (way['speedup'], way[key])
                for way in stream['ways']
                if way['way'] == name and way[key] is not None
            )
            if points:
                ours = name == 'ladder'
                (named[name],) = axis.plot(
                    *zip(*points, strict=True), LINES[line], marker=MARKS[mark], color=color,
                    linewidth=2.6 if ours else 1.2, markersize=8 if ours else 5,
                    zorder=3 if ours else 2,
                )  # fmt: skip
        axis.set_xscale('log')
        axis.set_xticks([1, 2, 3, 4, 6, 10], [f'{t}×' for t in (1, 2, 3, 4, 6, 10)])
        axis.minorticks_off()
        axis.grid(color='#e3e7ec')
        axis.set_title(f'{stream["stream"]}, {"moving" if stream["moving"] else "fixed"}')
        axis.set_ylabel(judge, fontsize=8)
    for axis in axes.flat[len(streams) :]:
        axis.set_axis_off()
    figure.legend(
        named.values(), [tables.NAMES[name] for name in named], loc='outside lower center',
        ncols=4, frameon=False,
    )  # fmt: skip
    figure.savefig(path, dpi=90)


def main() -> None:
    """Read the figures, write docs and picture."""
    result = json.loads(Path(sys.argv[1]).read_text())
    for path in (ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))):
        text = path.read_text()
        path.write_text(filled(text, result))
    if 'streams' in result:
        draw(result, PICTURE)


if __name__ == '__main__':
    main()
