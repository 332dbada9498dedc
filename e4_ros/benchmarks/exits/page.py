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

"""The page of `e4 bench exits`: one file that needs no network."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from e4_ros.benchmarks.exits import tables
from e4_ros.benchmarks.exits.plots import risk_figure, streams_figure
from e4_ros.evaluation.report.clip_page import figure as clips_figure
from e4_ros.vision.clips.policies import ClipPoint

Result = Mapping[str, Any]

_STYLE = """
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #1c2430; }
body { margin: 0 auto; max-width: 1180px; padding: 2rem 1.5rem 4rem; background: #fff; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .2rem; }
p { margin: .2rem 0 .6rem; color: #4a5464; max-width: 85ch; }
.quick { color: #d55e00; font-weight: 600; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.4rem 0; }
.tile { flex: 1 1 150px; border: 1px solid #e3e7ec; border-radius: 10px; padding: .7rem 1rem; }
.tile b { display: block; font-size: 1.45rem; font-weight: 600; } .tile span { color: #6a7484; }
table { border-collapse: collapse; width: 100%; font-size: 13px;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid #e3e7ec; }
th:first-child, td:first-child { text-align: left; }
summary { cursor: pointer; color: #0072b2; margin: .6rem 0; }
"""


def write_page(result: Result, path: Path) -> None:
    """Write what there is so far."""
    parts = ['<h1>What early exits buy</h1>', _intro(result), _tiles(result)]
    figures = 0

    def drawn(figure: go.Figure) -> str:
        nonlocal figures
        figures += 1
        return figure.to_html(
            full_html=False,
            include_plotlyjs=figures == 1,
            config={'displayModeBar': False, 'responsive': True},
        )

    if 'ladder' in result:
        parts += ['<h2>Speed and quality</h2>', _LADDER, drawn(streams_figure(result))]
        parts.append(_table(tables.LADDER_HEADS, tables.ladder_rows(result)))
        every = _table(tables.WAY_HEADS, tables.way_rows(result))
        parts.append(f'<details><summary>every way on every stream</summary>{every}</details>')
        parts += ['<h2>Does the loss stay at the risk?</h2>', _ONLINE, drawn(risk_figure(result))]
        online = _table(tables.ONLINE_HEADS, tables.online_rows(result))
        parts.append(f'<details><summary>every figure</summary>{online}</details>')
    if 'fitted' in result:
        parts += ['<h2>Fitted to its own camera</h2>', _FITTED]
        parts.append(_table(tables.FITTED_HEADS, tables.fitted_rows(result)))
    if 'risk' in result:
        parts += ['<h2>Are the promises of calibration kept?</h2>', _RISK]
        parts.append(_table(tables.RISK_HEADS, tables.risk_rows(result)))
        parts.append(_reasons(result))
    for name in dict.fromkeys(point['model'] for point in result.get('clips', [])):
        points = [_clip_point(p) for p in result['clips'] if p['model'] == name]
        parts.append(f'<h2>Clip mode, {html.escape(name)}</h2>')
        parts.append(drawn(clips_figure(points, '')))
    body = '\n'.join(parts)
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>What early exits buy</title>'
        f'<style>{_STYLE}</style><body>{body}</body></html>',
        encoding='utf-8',
    )


_LADDER = (
    '<p>All ways answered each stream in turns of a few frames, in one process, with as many '
    'threads. Speed-up: mean latency of the bare full network over that of the way. F1 at one '
    'score limit for all, by labels that people drew where there are some, else against the full '
    'network with the same tracker. Delay: frames until a new object is first reported.</p>'
)
_ONLINE = (
    '<p>Loss: 1 − F1 of a frame against the full network with the tracker on every frame, mean '
    'over the first 300 frames. Perturbed streams change after a third.</p>'
)
_FITTED = (
    '<p>Exits learnt from frames 0–299 without labels. F1 by people on the labelled frames behind '
    'them, by the offline teacher on those that nobody labelled.</p>'
)
_RISK = (
    '<p>Loss: what an answer’s F1 against the teacher lacks of the full network’s, never below 0, '
    'mean over frames; after the change where something happens to the camera, which is after a '
    'third of the stream. A promise counts as kept if the loss stays below it, or if the audit '
    'switched the exit off within 50 frames of the change. What promises nothing shows what '
    'happens to the exits as `e4 fit` leaves them.</p>'
)


def _intro(result: Result) -> str:
    quick = '<p class="quick">A quick run: it says little.</p>' if result['quick'] else ''
    missing = ''.join(f'<p>Not here: {html.escape(words)}.</p>' for words in result['missing'])
    return (
        f'<p>{html.escape(result["model"])}, {html.escape(result["machine"]["name"])}, '
        f'{result["machine"]["threads"]} thread(s), {html.escape(result["measured"])}.</p>'
        f'{quick}{missing}'
    )


def _tiles(result: Result) -> str:
    tiles = []
    for kind, moving in (('fixed', False), ('moving', True)):
        ups = [row['speedup'] for row in result.get('ladder', []) if row['moving'] is moving]
        if ups:
            tiles.append((f'{min(ups):.1f}–{max(ups):.1f}×', f'speed-up, {kind} cameras'))
    for count, ms in result.get('track_ms', {}).items():
        share = result['track_share'][count]
        tiles.append((f'{ms:.2f} ms', f'track, {count} objects: {share:.0%} of the full network'))
    if 'peak_memory_mb' in result:
        peak = result['peak_memory_mb']
        tiles.append((f'{peak["ladder"]:.0f} MB', f'peak memory; full network {peak["full"]:.0f}'))
    return (
        '<div class="tiles">'
        + ''.join(f'<div class="tile"><b>{v}</b><span>{label}</span></div>' for v, label in tiles)
        + '</div>'
    )


def _reasons(result: Result) -> str:
    reasons = {r['alpha']: r['why_not'] for r in result['risk'] if r['why_not']}
    return ''.join(
        f'<p>At a risk of {alpha:g} nothing was certified: {html.escape(why)}.</p>'
        for alpha, why in reasons.items()
    )


def _table(heads: Sequence[str], rows: tables.Rows) -> str:
    lines = ['<tr>' + ''.join(f'<th>{head}</th>' for head in heads) + '</tr>']
    for row in rows:
        lines.append('<tr>' + ''.join(f'<td>{html.escape(cell)}</td>' for cell in row) + '</tr>')
    return f'<table>{"".join(lines)}</table>'


def _clip_point(entry: Mapping[str, Any]) -> ClipPoint:
    return ClipPoint(**{key: value for key, value in entry.items() if key != 'model'})
