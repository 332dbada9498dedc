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

"""The page of many bags: what they came to together, and a row for each."""

from __future__ import annotations

import html
from datetime import datetime
from pathlib import Path
from string import Template
from urllib.parse import quote

from e4_ros.evaluation.report.report import exit_bar, page_part
from e4_ros.evaluation.spread.merged import BagRow, MergedSummary
from e4_ros.files import write_whole
from e4_ros.perception.palette import joules

_WORDS = {'done': 'done', 'kept': 'kept from before', 'failed': 'failed', 'left': 'not run yet'}


def write_page(merged: MergedSummary, path: Path) -> None:
    """Write the page, one HTML file; it links to the pages of the bags beside it."""
    count = len(merged.bags)
    done = sum(row.summary is not None for row in merged.bags)
    template = Template(page_part('many.html'))
    write_whole(
        path,
        template.substitute(
            title=html.escape(f'{merged.model or "no model"} on {count} sources'),
            headline=_headline(merged, done),
            subtitle=_subtitle(merged),
            tiles=_tiles(merged),
            problems=_problems(merged),
            exits=exit_bar(merged.exits, merged.frames_processed),
            rows=''.join(_row(row) for row in merged.bags),
            style=page_part('page.css'),
        ),
    )


def _headline(merged: MergedSummary, done: int) -> str:
    parts = [
        f'<b>{done}</b> of {len(merged.bags)} sources, <b>{merged.frames_processed}</b> frames'
    ]
    if merged.speedup_vs_full is not None:
        parts.append(f'<b>{merged.speedup_vs_full:.2f}×</b> the speed of the full network')
    if merged.f1_by_labels is not None:
        parts.append(f'<b>{merged.f1_by_labels:.3f}</b> F1 by labels')
    elif merged.f1_vs_full is not None:
        parts.append(f'agreement with it <b>{merged.f1_vs_full:.3f}</b>')
    return ', '.join(parts)


def _subtitle(merged: MergedSummary) -> str:
    facts = {
        'run on': merged.workers,
        'runtime': merged.runtime,
        'joules of': f'{merged.board}, {merged.energy_source}' if merged.board else '',
    }
    items = [
        f'<span>{name} <b>{html.escape(text)}</b></span>' for name, text in facts.items() if text
    ]
    items.append(f'<span>{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}</span>')
    return ''.join(items)


def _tiles(merged: MergedSummary) -> str:
    dropped = f'{merged.frames_dropped} dropped of {merged.frames_received} received'
    tiles = [('Frames', str(merged.frames_processed), dropped)]
    if (latency := merged.latency_ms) is not None:
        spread = f'p50 {latency.p50:.1f}, p95 {latency.p95:.1f}, p99 {latency.p99:.1f}'
        tiles.append(('Latency, mean', f'{latency.mean:.1f}<small> ms</small>', spread))
    if merged.energy_j_per_frame is not None:
        number, unit = joules(merged.energy_j_per_frame).split(' ')
        baseline = merged.baseline_energy_j_per_frame
        against = f'full depth, default clocks {joules(baseline)}' if baseline else ''
        badge = f'<em class="badge {merged.energy_source}">{merged.energy_source}</em>'
        tiles.append((f'Energy a frame {badge}', f'{number}<small> {unit}</small>', against))
    failed = sum(row.status == 'failed' for row in merged.bags)
    lost = sum(row.workers_lost for row in merged.bags)
    note = f'{lost} workers lost, their sources run again' if lost else 'no worker was lost'
    tiles.append(('Sources that failed', str(failed), note))
    return ''.join(
        f'<div class="tile"><h3>{name}</h3><p>{value}</p><span>{note}</span></div>'
        for name, value, note in tiles
    )


def _problems(merged: MergedSummary) -> str:
    said = [f'{row.source}: {row.reason}' for row in merged.bags if row.status == 'failed']
    said += [problem for row in merged.bags for problem in row.problems]
    if not said:
        return ''
    items = ''.join(f'<li>{html.escape(text)}</li>' for text in said)
    return f'<section class="problems"><h2>What went wrong</h2><ul>{items}</ul></section>'


def _row(row: BagRow) -> str:
    name, summary = html.escape(row.name), row.summary
    words = html.escape(_WORDS[row.status])
    if summary is None:
        return f'<tr><td>{name}</td><td>{words}</td>{"<td></td>" * 7}</tr>'
    key = sum(summary.exits.values())
    early = key - summary.exits.get('full', 0)
    cells = [
        f'<a href="{quote(row.name)}/report.html">{name}</a>',
        words,
        str(summary.frames_processed),
        str(summary.frames_dropped),
        f'{early / key:.0%}' if key else '',
        f'{summary.latency_ms.mean:.1f}',
        '' if summary.speedup_vs_full is None else f'{summary.speedup_vs_full:.2f}',
        _figure(summary.f1_vs_full),
        f'{row.seconds:.1f} on {html.escape(row.host)}',
    ]
    return f'<tr>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _figure(value: float | None) -> str:
    return 'n/a' if value is None else f'{value:.3f}'
