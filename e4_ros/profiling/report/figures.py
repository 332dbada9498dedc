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

"""The pictures of a profile."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.profiling.planning.cost_table import Floats, Indices
from e4_ros.profiling.planning.search import SearchResult
from e4_ros.profiling.profile import Profile

_PLAN, _FIXED, _EXACT, _DEFAULT, _GREY = '#009e73', '#0072b2', '#1c2430', '#d55e00', '#b8bec6'
_DOMAIN_COLORS = ('#0072b2', '#009e73', '#cc79a7', '#e69f00')
_AROUND_PLAN = 1.6  # a deadline further off than this times the slowest mark is left to the text


def front(profile: Profile) -> go.Figure:
    """Energy against latency: fixed points, their front, the descent, and what it led to."""
    problem, figure = profile.problem, go.Figure()
    latency_s, energy_j = problem.fixed()
    names = [_point_text(problem.table.point(p)) for p in range(len(latency_s))]
    _dots(figure, latency_s, energy_j, names)
    steps = np.array(profile.descent.descent).reshape(-1, 2)
    figure.add_scatter(
        x=1e3 * steps[:, 0],
        y=1e3 * steps[:, 1],
        mode='lines+markers',
        line={'color': _PLAN, 'width': 1.5, 'dash': 'dot'},
        marker={'size': 5},
        name='descent',
        hovertemplate='%{x:.2f} ms, %{y:.2f} mJ<extra>descent</extra>',
    )
    marks = _marks(profile)
    for name, seconds, joules, color, symbol in marks:
        figure.add_scatter(
            x=[1e3 * seconds],
            y=[1e3 * joules],
            mode='markers',
            marker={'color': color, 'size': 13, 'symbol': symbol, 'line': {'width': 2}},
            name=name,
            hovertemplate='%{x:.2f} ms, %{y:.2f} mJ',
        )
    _frame_axes(figure, profile, [(seconds, joules) for _, seconds, joules, _, _ in marks])
    return _layout(figure, 480)


def strip(profile: Profile) -> go.Figure:
    """Clocks of each segment along the slowest path, plan against a world of free switches."""
    table = profile.problem.table
    rows = np.flatnonzero(profile.problem.timed > 0)
    figure = make_subplots(
        rows=len(table.domains), cols=1, shared_xaxes=True, vertical_spacing=0.07
    )
    plans = [('plan', profile.best, 'solid'), ('if switching cost nothing', profile.ideal, 'dot')]
    for label, found, dash in plans:
        _clock_lines(figure, profile, rows, label, found, dash)
    seconds = table.latency_s[rows, profile.best.points[rows]]
    edges = 1e3 * np.append(0.0, np.cumsum(seconds))
    for edge in edges[1:-1]:
        figure.add_vline(x=edge, line={'color': '#dde1e7', 'width': 1}, layer='below')
    for row, begin, end in zip(rows, edges, edges[1:], strict=False):
        if end - begin > 0.05 * edges[-1]:  # a name needs room
            figure.add_annotation(
                x=(begin + end) / 2,
                y=1.0,
                yref='paper',
                yanchor='bottom',
                text=table.segments[row],
                showarrow=False,
                font={'size': 11, 'color': '#6a7484'},
            )
    figure.update_xaxes(title='time since the frame began (ms)', row=len(table.domains), col=1)
    return _layout(figure, 170 * len(table.domains) + 150, legend_y=1.14)


def descent(profile: Profile) -> go.Figure:
    """Energy of each plan that was the best so far."""
    figure = go.Figure()
    figure.add_scatter(
        y=[1e3 * step[1] for step in profile.descent.descent],
        mode='lines+markers',
        line={'color': _PLAN, 'width': 2, 'shape': 'hv'},
        name='best plan so far',
        hovertemplate='%{y:.3f} mJ<extra></extra>',
    )
    lines = [('best fixed point', profile.fixed, _FIXED, 'dot')]
    if profile.exact is not None:
        lines.append(('exact optimum', profile.exact.best, _EXACT, 'dash'))
    for name, found, color, dash in lines:
        figure.add_scatter(
            x=[0, max(len(profile.descent.descent) - 1, 1)],
            y=[1e3 * found.energy_j] * 2,
            mode='lines',
            line={'color': color, 'dash': dash, 'width': 1.5},
            name=f'{name}, {1e3 * found.energy_j:.3f} mJ',
            hoverinfo='skip',
        )
    figure.update_xaxes(title='improvement', dtick=1)
    figure.update_yaxes(title='expected energy a frame (mJ)')
    return _layout(figure, 320)


def guesses(profile: Profile) -> go.Figure:
    """What the plan saves with one guess changed at a time, widest bar on top."""
    as_is = profile.guesses[0]
    parameters = dict.fromkeys(c.parameter for c in profile.guesses[1:])
    ranges = []
    for name in parameters:
        changed = [c for c in profile.guesses if c.parameter == name]
        low = min(changed, key=lambda c: c.saving_percent)
        high = max(changed, key=lambda c: c.saving_percent)
        ranges.append((high.saving_percent - low.saving_percent, name, low, high))
    ranges.sort(key=lambda entry: entry[0])
    figure = go.Figure()
    for _, name, low, high in ranges:
        figure.add_scatter(
            x=[low.saving_percent, high.saving_percent],
            y=[name, name],
            mode='lines+markers+text',
            text=[f'{low.value} ', f' {high.value}'],
            textposition=['middle left', 'middle right'],
            textfont={'size': 12, 'color': '#6a7484'},
            line={'color': _FIXED, 'width': 9},
            marker={'size': 9, 'color': _FIXED},
            hovertemplate='%{x:.1f} %<extra></extra>',
            showlegend=False,
        )
    figure.add_vline(
        x=as_is.saving_percent,
        line={'color': _EXACT, 'dash': 'dash'},
        annotation_text='as in the board file',
        annotation_position='top',
    )
    figure.update_xaxes(title='saved by the plan against the default clocks (%)')
    return _layout(figure, 90 + 38 * len(ranges), left=120)


def _dots(figure: go.Figure, latency_s: Floats, energy_j: Floats, names: list[str]) -> None:
    figure.add_scatter(
        x=1e3 * latency_s,
        y=1e3 * energy_j,
        text=names,
        mode='markers',
        marker={'color': _GREY, 'size': 5},
        name='one point for the whole frame',
        hovertemplate='%{text}<br>%{x:.2f} ms, %{y:.2f} mJ<extra></extra>',
    )
    order = np.lexsort((energy_j, latency_s))
    lowest = np.minimum.accumulate(energy_j[order])
    best = order[energy_j[order] < np.append(np.inf, lowest[:-1])]
    figure.add_scatter(
        x=1e3 * latency_s[best],
        y=1e3 * energy_j[best],
        mode='lines',
        line={'color': '#8b94a1', 'width': 2, 'shape': 'hv'},
        name='their front',
        hoverinfo='skip',
    )


def _marks(profile: Profile) -> list[tuple[str, float, float, str, str]]:
    marks: list[tuple[str, float, float, str, str]] = [
        (profile.default_name, *profile.default, _DEFAULT, 'x'),
        ('best fixed point', profile.fixed.latency_s, profile.fixed.energy_j, _FIXED, 'square'),
        ('plan', profile.best.latency_s, profile.best.energy_j, _PLAN, 'star'),
    ]
    if profile.exact is not None:
        found = profile.exact.best
        marks.append(('exact optimum', found.latency_s, found.energy_j, _EXACT, 'circle-open'))
    return marks


def _frame_axes(figure: go.Figure, profile: Profile, marks: list[tuple[float, float]]) -> None:
    """Show the marks and the front; the deadline only where it is near them."""
    problem = profile.problem
    latency_s, energy_j = problem.fixed()
    slowest = max(seconds for seconds, _ in marks)
    right = min(1.15 * problem.deadline_s, _AROUND_PLAN * slowest)
    left = 0.9 * min(problem.fastest_s, *(seconds for seconds, _ in marks))
    figure.update_xaxes(title='latency of the slowest path (ms)', range=[1e3 * left, 1e3 * right])
    if problem.deadline_s < right:
        figure.add_vline(
            x=1e3 * problem.deadline_s,
            line={'color': '#888', 'dash': 'dash'},
            annotation_text='deadline',
            annotation_position='top left',
        )
    inside = energy_j[latency_s <= right]
    joules = [j for _, j in marks]
    low, high = min(joules), max(*joules, float(np.percentile(inside, 60)))
    margin = 0.08 * (high - low)
    figure.update_yaxes(
        title='expected energy a frame (mJ)', range=[1e3 * (low - margin), 1e3 * (high + margin)]
    )


def _clock_lines(
    figure: go.Figure,
    profile: Profile,
    rows: Indices,
    label: str,
    found: SearchResult,
    dash: str,
) -> None:
    table = profile.problem.table
    seconds = table.latency_s[rows, found.points[rows]]
    edges = 1e3 * np.append(0.0, np.cumsum(seconds))
    names = [table.segments[row] for row in rows]
    for d, domain in enumerate(table.domains):
        hz = np.array(table.axes_hz[d])[table.coordinates[found.points[rows], d]]
        figure.add_scatter(
            x=edges,
            y=np.append(hz, hz[-1]) / 1e6,
            mode='lines',
            line={
                'shape': 'hv',
                'dash': dash,
                'color': _DOMAIN_COLORS[d % len(_DOMAIN_COLORS)],
                'width': 3 if dash == 'solid' else 1.5,
            },
            name=f'{domain}, {label}',
            text=[*names, 'end'],
            hovertemplate='%{text}: %{y:.0f} MHz<extra></extra>',
            row=d + 1,
            col=1,
        )
        top = table.axes_hz[d][-1] / 1e6
        figure.update_yaxes(title=f'{domain} (MHz)', range=[0, 1.08 * top], row=d + 1, col=1)


def _point_text(point: dict[str, int]) -> str:
    return ', '.join(f'{name} {hz / 1e6:.0f}' for name, hz in point.items()) + ' MHz'


def _layout(figure: go.Figure, height: int, legend_y: float = 1.08, left: int = 60) -> go.Figure:
    return figure.update_layout(
        template='plotly_white',
        height=height,
        margin={'l': left, 'r': 20, 't': 40, 'b': 50},
        legend={'orientation': 'h', 'y': legend_y, 'x': 0, 'yanchor': 'bottom'},
        font={'family': 'system-ui, sans-serif', 'size': 13},
    )
