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

"""The pictures of a comparison's page, without colours of the page's theme."""

from __future__ import annotations

import json
from typing import Any

import plotly.graph_objects as go

from e4_ros.evaluation.comparison.intervals import Interval
from e4_ros.evaluation.comparison.result import Result
from e4_ros.evaluation.report.figure_style import GREY, plain

# Okabe and Ito (2008), told apart by the colour-blind too.
COLORS = {'stock': GREY, 'ladder': '#56b4e9', 'clocks': '#e69f00', 'both': '#009e73'}
_HEAT = '#d55e00'
_SPAN_C = 8.0  # around the temperatures that were seen: tenths of a degree are no story


def all_figures(found: Result) -> dict[str, dict[str, Any]]:
    """Figures by the id of the element they fill; none where nothing tells the joules."""
    if found.stock.energy_j is None:
        return {}
    figures = {'energy': energy(found), 'saved': saved(found), 'blocks': blocks(found)}
    return {name: json.loads(figure.to_json()) for name, figure in figures.items()}


def energy(found: Result) -> go.Figure:
    """Every round as a dot, the mean with its interval, and what the waiting board takes."""
    figure, unit = go.Figure(), 1e3 * found.facts.period_s
    for arm in found.arms:
        assert arm.energy_j is not None
        name, color = arm.arm.name, COLORS[arm.arm.name]
        watts = [blocks[name].power_w for blocks in found.measured.rounds]
        figure.add_scatter(
            x=[w * unit for w in watts], y=[name] * len(watts), mode='markers', showlegend=False,
            marker={'color': color, 'size': 7, 'opacity': 0.45},
            hovertemplate='%{x:.1f} mJ a frame<extra></extra>',
        )  # fmt: skip
        figure.add_scatter(
            x=[arm.energy_j.value * 1e3], y=[name], mode='markers+text', showlegend=False,
            marker={'color': color, 'size': 13, 'symbol': 'diamond'},
            error_x=_bars(arm.energy_j.scaled(1e3), color),
            text=[f'{1e3 * arm.energy_j.value:.1f}'],
            textposition='top center', hoverinfo='skip', cliponaxis=False,
        )  # fmt: skip
    if found.idle_w is not None:
        figure.add_vline(
            x=found.idle_w * unit, line={'dash': 'dot', 'color': GREY, 'width': 1.5},
            annotation_text='the waiting board', annotation_position='top right',
            annotation_font_color=GREY,
        )  # fmt: skip
    source = 'measured' if found.facts.measured else 'modelled'
    figure.update_xaxes(title_text=f'mJ a frame, {source}')
    figure.update_yaxes(autorange='reversed', showgrid=False)
    figure.update_layout(height=340)
    return plain(figure)


def saved(found: Result) -> go.Figure:
    """What each way takes less than stock, in percent, with its interval."""
    figure = go.Figure()
    for arm in found.arms[1:]:
        assert arm.saved is not None
        name, part = arm.arm.name, arm.saved.scaled(100)
        figure.add_bar(
            x=[name], y=[part.value], marker_color=COLORS[name], showlegend=False,
            error_y=_bars(part, '#16202b', 6), hoverinfo='skip', width=0.55,
            text=[f'{part.value:.1f} %'], textposition='inside', insidetextanchor='start',
        )  # fmt: skip
    exact = {arm.arm.name: 100 * arm.exact for arm in found.arms if arm.exact is not None}
    if exact:
        figure.add_scatter(
            x=list(exact), y=list(exact.values()), mode='markers', name='what the model put in',
            marker={'symbol': 'line-ew', 'size': 46, 'line': {'width': 2.5, 'color': _HEAT}},
            hovertemplate='%{y:.2f} %<extra>exact</extra>',
        )  # fmt: skip
    figure.update_yaxes(title_text='% of the energy', rangemode='tozero')
    figure.update_layout(height=340)
    return plain(figure)


def blocks(found: Result) -> go.Figure:
    """Watts of every block over time, and the hottest zone after it."""
    figure, rows = go.Figure(), found.measured.blocks
    start_s = rows[0].began_s
    for arm in found.arms:
        own = [block for block in rows if block.arm == arm.arm.name]
        figure.add_bar(
            x=[(block.began_s - start_s + found.plan.block_s / 2) / 60 for block in own],
            y=[block.power_w for block in own], name=arm.arm.name,
            marker_color=COLORS[arm.arm.name],
            width=0.86 * found.plan.block_s / 60, hovertemplate='%{y:.2f} W',
        )  # fmt: skip
    heat = [(b.began_s, max(b.after_c.values())) for b in rows if b.after_c]
    if heat:
        figure.add_scatter(
            x=[(at - start_s + found.plan.block_s) / 60 for at, _ in heat], y=[c for _, c in heat],
            name='hottest zone', yaxis='y2', mode='lines+markers',
            line={'color': _HEAT, 'width': 1.5, 'dash': 'dot'}, hovertemplate='%{y:.1f} °C',
        )  # fmt: skip
        coldest, hottest = min(c for _, c in heat), max(c for _, c in heat)
        figure.update_layout(
            yaxis2={
                'title': {'text': '°C'}, 'overlaying': 'y', 'side': 'right', 'showgrid': False,
                'range': [coldest - _SPAN_C, hottest + _SPAN_C],
            }
        )  # fmt: skip
    figure.update_xaxes(title_text='minutes', showgrid=False)
    figure.update_yaxes(title_text='W', rangemode='tozero', selector=0)
    figure.update_layout(height=340, barmode='overlay')
    return plain(figure)


def _bars(found: Interval, color: str, width: int = 7) -> dict[str, Any] | None:
    if found.low is None or found.high is None:
        return None
    return {
        'type': 'data', 'symmetric': False, 'array': [found.high - found.value],
        'arrayminus': [found.value - found.low], 'color': color, 'thickness': 2, 'width': width,
    }  # fmt: skip
