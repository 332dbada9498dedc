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

"""The page of `e4 bench models`: one file that needs no network."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.benchmarks.models import tables

_COLORS = ('#009e73', '#0072b2', '#d55e00', '#cc79a7', '#e69f00', '#56b4e9')
_STYLE = """
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #1c2430; }
body { margin: 0 auto; max-width: 1180px; padding: 2rem 1.5rem 4rem; background: #fff; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .2rem; }
p { margin: .2rem 0 .6rem; color: #4a5464; max-width: 85ch; }
table { border-collapse: collapse; width: 100%; font-size: 13px;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid #e3e7ec; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
"""
_LADDER = (
    'The ladder against the same network on every frame with the same tracker, frame by frame in '
    'turn in one process; nothing was fitted. F1 says how alike the two are; the number of boxes '
    'behind it stands beside it.'
)
_READ = (
    'Boxes that score .3 in the network as it runs here, beside those of the untouched file, read '
    'by plain code as its authors document it: the same where they overlap by .99 and the scores '
    'differ by .01 at most.'
)


def write_page(result: Mapping[str, Any], path: Path) -> None:
    """Write what there is so far."""
    about = result['machine']
    parts = [
        '<h1>Detectors as they were brought</h1>',
        f'<p>{html.escape(about["cpu"])}, {about["threads"]} thread(s), {result["measured"]}.'
        f'{" A quick run: it says little." if result["quick"] else ""}</p>',
        *(f'<p>{html.escape(line)}</p>' for line in tables.notes(result)),
    ]
    if result['models']:
        drawn = _figure(result['models']).to_html(
            full_html=False, include_plotlyjs=True, config={'displayModeBar': False}
        )
        parts += ['<h2>What the ladder saves</h2>', f'<p>{_LADDER}</p>', drawn]
        parts.append(_table(tables.STREAM_HEADS, tables.stream_rows(result)))
        parts += ['<h2>Whether they are read rightly</h2>', f'<p>{_READ}</p>']
        parts.append(_table(tables.MODEL_HEADS, tables.model_rows(result)))
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Detectors as they were '
        f'brought</title><style>{_STYLE}</style><body>{"".join(parts)}</body></html>',
        encoding='utf-8',
    )


def _figure(models: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Speed-up and F1 of each file on each stream."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for index, model in enumerate(models):
        streams, color = model['streams'], _COLORS[index % len(_COLORS)]
        for row, key in ((1, 'speedup'), (2, 'f1_full_tracked')):
            figure.add_bar(
                x=[stream['stream'] for stream in streams],
                y=[stream[key] for stream in streams],
                name=model['file'],
                legendgroup=model['file'],
                showlegend=row == 1,
                marker_color=color,
                text=[f'{stream["boxes"]} boxes' for stream in streams],
                textposition='none',
                hovertemplate='%{x}: %{y:.3f}, %{text}<extra></extra>',
                row=row,
                col=1,
            )
    figure.update_yaxes(title='speed-up', rangemode='tozero', row=1)
    figure.update_yaxes(title='F1', range=[0, 1], row=2)
    return figure.update_layout(
        template='plotly_white', height=520, margin={'l': 50, 'r': 10, 't': 20, 'b': 40},
        legend={'orientation': 'h', 'y': 1.1, 'x': 0},
        font={'family': 'system-ui, sans-serif', 'size': 12},
    )  # fmt: skip


def _table(heads: Sequence[str], rows: tables.Rows) -> str:
    lines = ['<tr>' + ''.join(f'<th>{head}</th>' for head in heads) + '</tr>']
    for row in rows:
        lines.append('<tr>' + ''.join(f'<td>{html.escape(cell)}</td>' for cell in row) + '</tr>')
    return f'<table>{"".join(lines)}</table>'
