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

"""The page of `e4 versions`: accuracy against milliseconds and joules, one HTML file."""

from __future__ import annotations

import html
import math
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.evaluation.report.figure_style import GREY, plain
from e4_ros.evaluation.versions.measure import VersionRun, VersionTrial
from e4_ros.files import write_whole

_FRONT = '#009e73'  # Okabe and Ito (2008)

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse}}td,th{{padding:.25rem .8rem;text-align:right}}
td:first-child,th:first-child{{text-align:left}}tr+tr{{border-top:1px solid #ddd}}
.beaten{{color:#8b95a3}}</style>
<h1>{title}</h1><p>{words}</p>{figure}<table>{table}</table><p>{notes}</p></html>
"""


def write_picture(found: VersionTrial, path: Path) -> None:
    """Write the page."""
    file = found.file
    judge = 'people’s labels' if file.judged_by == 'people' else 'the offline teacher'
    words = (
        f'{file.frames} frames of {", ".join(file.footage)}. F1 is against {judge}. Versions in '
        'green are not dominated: no other one is at least as right, quick and frugal, and better '
        'in one of the three.'
    )
    notes = (
        f'Milliseconds are medians by exit on {file.machine}, weighted by how often each exit '
        f'answered. Joules are modelled for {file.board or "no board"}, at its default clocks.'
    )
    rows = ['<tr><th>version<th>input<th>F1<th>95 %<th>ms<th>J<th>exits<th>dominated by</tr>']
    rows += [_row(run) for run in found.runs]
    write_whole(
        path,
        _PAGE.format(
            title='Versions of a model',
            words=html.escape(words),
            notes=html.escape(notes),
            figure=_figure(found).to_html(full_html=False, include_plotlyjs=True),
            table=''.join(rows),
        ),
    )


def _row(run: VersionRun) -> str:
    m = run.measured
    between = '' if run.interval is None else f'{run.interval[0]:.3f} to {run.interval[1]:.3f}'
    exits = ', '.join(f'{name} {100 * share:.0f} %' for name, share in m.shares.items())
    joules = '' if math.isnan(m.mean_j) else f'{m.mean_j:.3f}'
    cells = [
        m.name, f'{m.input[0]}×{m.input[1]} {m.precision}', f'{m.f1:.3f}', between,
        f'{m.mean_ms:.2f}', joules, exits, m.dominated_by,
    ]  # fmt: skip
    style = ' class="beaten"' if m.dominated_by else ''
    return f'<tr{style}>' + ''.join(f'<td>{html.escape(cell)}' for cell in cells) + '</tr>'


def _figure(found: VersionTrial) -> go.Figure:
    with_joules = bool(found.file.board)
    figure = make_subplots(1, 1 + with_joules, shared_yaxes=True)
    for column, (label, value) in enumerate(
        (('ms a frame', 'mean_ms'), ('J a frame, modelled', 'mean_j'))[: 1 + with_joules], 1
    ):
        for run in found.runs:
            m = run.measured
            color = GREY if m.dominated_by else _FRONT
            errors = None
            if run.interval is not None:
                errors = {
                    'array': [max(run.interval[1] - m.f1, 0)],
                    'arrayminus': [max(m.f1 - run.interval[0], 0)],
                    'color': color, 'thickness': 1,
                }  # fmt: skip
            figure.add_scatter(
                x=[getattr(m, value)], y=[m.f1], mode='markers+text', text=[m.name],
                textposition='top center', marker={'size': 12, 'color': color}, error_y=errors,
                showlegend=False, row=1, col=column,
            )  # fmt: skip
        figure.update_xaxes(title_text=label, rangemode='tozero', row=1, col=column)
    figure.update_yaxes(title_text='F1', row=1, col=1)
    figure.update_layout(height=420)
    return plain(figure)
