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

"""The pictures of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.benchmarks.exits.tables import NAMES

# Okabe and Ito (2008), told apart by the colour-blind too: colour, line, mark.
LOOKS = {
    'ladder': ('#009e73', 'solid', 'circle'),
    'closer': ('#009e73', 'dash', 'triangle-up'),
    'full_tracked': ('#d55e00', 'solid', 'star'),
    'full': ('#e69f00', 'solid', 'star'),
    'bytetrack': ('#0072b2', 'solid', 'square'),
    'tracker': ('#56b4e9', 'dash', 'square'),
    'constant_velocity': ('#4a5464', 'dot', 'diamond'),
    'hold': ('#8b95a3', 'dot', 'diamond'),
    'smaller_input': ('#cc79a7', 'solid', 'triangle-up'),
    'int8': ('#f0e442', 'solid', 'hexagon'),
    'score_exits': ('#000000', 'dash', 'x'),
}
_TICKS = [0.5, 1, 2, 3, 4, 6, 8, 12]
_COLUMNS = 3
_ALLOWED = 1.2  # times the risk asked for


def shown_streams(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Streams as they were filmed."""
    return [stream for stream in result['streams'] if not stream['perturbed']]


def quality_of(stream: Mapping[str, Any]) -> tuple[str, str]:
    """Key of the figure that judges a stream, and its name: people where they drew labels."""
    if any(way['f1_people'] is not None for way in stream['ways']):
        return 'f1_people', 'F1 by people'
    return 'f1_full_tracked', 'F1 against full network with tracker'


def streams_figure(result: Mapping[str, Any]) -> go.Figure:
    """For each stream the quality of every way over its speed-up."""
    streams = shown_streams(result)
    rows = math.ceil(len(streams) / _COLUMNS)
    titles = [
        f'{s["stream"]} ({"moving" if s["moving"] else "fixed"})<br>{quality_of(s)[1]}'
        for s in streams
    ]
    figure = make_subplots(
        rows=rows, cols=_COLUMNS, subplot_titles=titles, horizontal_spacing=0.06,
        vertical_spacing=0.36 / max(rows, 2),
    )  # fmt: skip
    named: set[str] = set()
    for index, stream in enumerate(streams):
        key, _ = quality_of(stream)
        for name, look in LOOKS.items():
            points = [w for w in stream['ways'] if w['way'] == name and w[key] is not None]
            if points:
                cell = index // _COLUMNS + 1, index % _COLUMNS + 1
                _add_way(figure, name, look, points, key, name not in named, cell)
                named.add(name)
    figure.update_xaxes(
        type='log', tickvals=_TICKS, ticktext=[f'{tick:g}×' for tick in _TICKS], tickangle=0
    )
    figure.update_annotations(font_size=12)
    return figure.update_layout(
        template='plotly_white', height=300 * rows + 90,
        margin={'l': 40, 'r': 10, 't': 60, 'b': 40},
        legend={'orientation': 'h', 'y': -0.06, 'x': 0},
        font={'family': 'system-ui, sans-serif', 'size': 12},
    )  # fmt: skip


def risk_figure(result: Mapping[str, Any]) -> go.Figure:
    """Loss seen over the risk asked for, one bar for each stream and risk."""
    figure = go.Figure()
    rows = result['risk_online']
    for asked, color in zip(
        sorted({row['asked'] for row in rows}), ('#56b4e9', '#0072b2', '#004466'), strict=False
    ):
        own = [row for row in rows if row['asked'] == asked]
        figure.add_bar(
            x=[row['stream'] for row in own], y=[row['seen'] / asked for row in own],
            name=f'asked {asked:.2f}', marker_color=color,
            text=[f'{row["key_frames"]:.0%} key frames' for row in own], textposition='none',
            hovertemplate='%{x}: %{y:.2f} of the risk, %{text}<extra></extra>',
        )  # fmt: skip
    figure.add_hline(y=_ALLOWED, line={'color': '#d55e00', 'dash': 'dash', 'width': 1.2})
    figure.update_yaxes(title='loss seen / risk asked', rangemode='tozero')
    return figure.update_layout(
        template='plotly_white', height=320, margin={'l': 50, 'r': 10, 't': 20, 'b': 40},
        legend={'orientation': 'h', 'y': 1.1, 'x': 0},
        font={'family': 'system-ui, sans-serif', 'size': 12},
    )  # fmt: skip


def _add_way(
    figure: go.Figure,
    name: str,
    look: tuple[str, str, str],
    points: Sequence[Mapping[str, Any]],
    key: str,
    named: bool,
    cell: tuple[int, int],
) -> None:
    color, dash, symbol = look
    ours = name == 'ladder'
    points = sorted(points, key=lambda way: way['speedup'])
    figure.add_scatter(
        x=[way['speedup'] for way in points], y=[way[key] for way in points],
        mode='lines+markers', name=NAMES[name], legendgroup=name, showlegend=named,
        line={'color': color, 'dash': dash, 'width': 3 if ours else 1.4},
        marker={'color': color, 'size': 9 if ours else 7, 'symbol': symbol},
        text=[f'{way["setting"]:g}' for way in points],
        hovertemplate=f'{NAMES[name]} %{{text}}<br>%{{x:.2f}}× %{{y:.3f}}<extra></extra>',
        row=cell[0], col=cell[1],
    )  # fmt: skip
