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

"""The accuracy of clip policies against what they compute: a page and a table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from rich.table import Table

from e4_ros.files import replacing
from e4_ros.vision.clips.policies import ClipPoint

# Okabe and Ito (2008), told apart by the colour-blind too.
_COLORS = {
    'cascade': '#009e73',
    'frameexit': '#0072b2',
    'max_softmax': '#e69f00',
    'fixed': '#8b95a3',
    'full': '#d55e00',
    'frameexit_full': '#cc79a7',
}


def figure(points: Sequence[ClipPoint], title: str) -> go.Figure:
    """Accuracy over GFLOPs: a line for each policy, a ring at the point that it chose."""
    drawn = go.Figure()
    for policy, color in _COLORS.items():
        own = sorted((p for p in points if p.policy == policy), key=lambda p: p.gflops)
        if not own:
            continue
        drawn.add_scatter(
            x=[p.gflops for p in own],
            y=[p.accuracy for p in own],
            name=policy,
            mode='lines+markers',
            line={'color': color},
            marker={
                'size': [13 if p.chosen else 5 for p in own],
                'symbol': ['circle-open' if p.chosen else 'circle' for p in own],
            },
            text=[f'threshold {p.threshold:.3f}, {p.frames:.1f} frames' for p in own],
            hovertemplate='%{x:.2f} GFLOPs, %{y:.1%}<br>%{text}',
        )
    drawn.update_layout(title=escape(title), template='plotly_white', height=560)
    drawn.update_xaxes(title='GFLOPs a clip (10⁹ multiply-accumulates)', rangemode='tozero')
    drawn.update_yaxes(title='accuracy on validation clips', tickformat='.0%')
    return drawn


def write_page(points: Sequence[ClipPoint], title: str, path: Path) -> None:
    """Write the figure as one file that needs no network."""
    with replacing(path) as scratch:
        figure(points, title).write_html(scratch, include_plotlyjs=True)


def policy_table(points: Sequence[ClipPoint], title: str) -> Table:
    """The point that each policy chose, and the fixed exits."""
    table = Table(title=title, title_justify='left', box=None)
    for heading in ('policy', 'accuracy', 'GFLOPs a clip', 'frames'):
        table.add_column(heading, justify='left' if heading == 'policy' else 'right')
    for point in points:
        if point.chosen or point.policy == 'fixed':
            number = f' {point.threshold:.0f}' if point.policy == 'fixed' else ''
            table.add_row(
                f'{point.policy}{number}',
                f'{point.accuracy:.1%}',
                f'{point.gflops:.2f}',
                f'{point.frames:.1f}',
            )
    table.caption = 'GFLOPs: 10⁹ multiply-accumulates, backbone included'
    return table
