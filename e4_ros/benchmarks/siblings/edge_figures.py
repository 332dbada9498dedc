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

"""The picture of `make demo-edge`: five rows on one axis of time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.benchmarks.siblings.edge_show import ALONE, BUNDLE, LINK, SERVER, WITH, Show
from e4_ros.benchmarks.siblings.lab.frames import AnsweredFrame
from e4_ros.evaluation.report.figure_style import GREY, plain
from e4_ros.offload.request import EDGE
from e4_ros.perception.palette import exit_colors

_EDGE_COLOR = exit_colors(())['edge']
_MARKS = {LINK: GREY, SERVER: '#b3261e', BUNDLE: '#96600a'}
_WINDOW_S, _STEP_S = 3.0, 0.5  # a point of a curve stands for so many seconds
FIRST_S = 0.1
"""What happened before is how it began, and has no line."""

_HEIGHTS = {'where': 1.0, 'latency': 2.6, 'link': 1.2, 'energy': 1.5, 'f1': 1.7}


def story(show: Show) -> go.Figure:
    """Where frames were answered, latency, link, joules and F1, over time."""
    titles = [
        'Who answered',
        f'Latency of a frame (ms); the line is its deadline of {show.deadline_s * 1e3:.0f} ms',
        'Rate of the link (Mbit/s)',
        f'Energy of a frame (mJ, modelled), mean of {_WINDOW_S:.0f} s',
        f'F1 by {show.judged_by}, in {_WINDOW_S:.0f} s',
    ]
    figure = make_subplots(
        rows=len(titles), cols=1, shared_xaxes=True, vertical_spacing=0.05,
        row_heights=list(_HEIGHTS.values()), subplot_titles=titles,
    )  # fmt: skip
    frames = show.drives[WITH].frames
    _add_where(figure, show, frames)
    _add_latency(figure, show, frames)
    _add_link(figure, show)
    _add_energy(figure, show)
    _add_f1(figure, show)
    _add_marks(figure, show)
    end = _end_s(show)
    figure.update_xaxes(range=[-0.01 * end, 1.01 * end], showgrid=False)
    figure.update_xaxes(title_text='seconds', row=len(titles), col=1)
    figure.update_annotations(x=0, xanchor='left', font_size=13)
    figure.update_layout(height=1050)
    return _named_marks(plain(figure), show)


def _add_where(figure: go.Figure, show: Show, frames: Sequence[AnsweredFrame]) -> None:
    rows = {'the server': [f for f in frames if f.place == EDGE or _answered(f)]}
    own = [frame for frame in frames if frame.place != EDGE]
    for name in sorted({frame.exit for frame in own}, key=_depth, reverse=True):
        rows[f'robot: {name}'] = [frame for frame in own if frame.exit == name]
    colors = exit_colors([frame.exit for frame in own])
    for name, group in rows.items():
        color = _EDGE_COLOR if name == 'the server' else colors[name.removeprefix('robot: ')]
        figure.add_scattergl(
            x=_times(show, group), y=[name] * len(group), mode='markers', name=name,
            marker={'color': color, 'size': 9, 'symbol': 'line-ns', 'line': {'width': 1.5,
            'color': color}}, showlegend=False,
            hovertemplate=f'{name}<br>%{{x:.2f}} s<extra></extra>', row=1, col=1,
        )  # fmt: skip
    figure.update_yaxes(showgrid=False, categoryorder='array', row=1, col=1)
    figure.update_yaxes(categoryarray=list(rows)[::-1], row=1, col=1)


def _answered(frame: AnsweredFrame) -> bool:
    """Whether the tracks were corrected by the server when this frame was answered."""
    return any(request.status == 'answered' for request in frame.requests)


def _add_latency(figure: go.Figure, show: Show, frames: Sequence[AnsweredFrame]) -> None:
    colors = exit_colors([frame.exit for frame in frames])
    for name in sorted({frame.exit for frame in frames}, key=_depth):
        group = [frame for frame in frames if frame.exit == name]
        on_edge = group[0].place == EDGE
        figure.add_scattergl(
            x=_times(show, group), y=[round(f.latency_s * 1e3, 2) for f in group], mode='markers',
            marker={'color': _EDGE_COLOR if on_edge else colors[name], 'size': 5},
            name='answered by the server' if on_edge else f'answered by the robot: {name}',
            hovertemplate='%{x:.2f} s: %{y:.1f} ms', row=2, col=1,
        )  # fmt: skip
    asked = [(f.arrived_s - show.began_s, r) for f in frames for r in f.requests]
    came = [(at_s, r) for at_s, r in asked if not math.isnan(r.total_s)]
    figure.add_scattergl(
        x=[round(at_s, 3) for at_s, _ in came], y=[round(r.total_s * 1e3, 2) for _, r in came],
        mode='markers', name='way to the server and back', marker={'color': _EDGE_COLOR, 'size': 6,
        'symbol': 'circle-open'}, hovertemplate='%{x:.2f} s: %{y:.1f} ms there and back', row=2,
        col=1,
    )  # fmt: skip
    deadline_ms = show.deadline_s * 1e3
    figure.add_hline(
        y=deadline_ms, line={'color': '#b3261e', 'dash': 'dash', 'width': 1.5}, row=2, col=1
    )
    longest_ms = max(1e3 * frame.latency_s for frame in frames)
    top_ms = max(deadline_ms * 1.35, longest_ms * 1.05)  # nothing is cut off
    figure.update_yaxes(range=[0, top_ms], row=2, col=1)


def _add_link(figure: go.Figure, show: Show) -> None:
    steps = [h for h in show.happenings if h.rate_mbps is not None]
    times = [max(h.at_s - show.began_s, 0.0) for h in steps] + [_end_s(show)]
    rates = [h.rate_mbps for h in steps]
    rates += rates[-1:]
    figure.add_scatter(
        x=np.round(times, 3), y=rates, mode='lines', fill='tozeroy', name='rate of the link',
        line={'shape': 'hv', 'color': GREY, 'width': 2}, showlegend=False,
        hovertemplate='%{y:g} Mbit/s<extra></extra>', row=3, col=1,
    )  # fmt: skip
    figure.update_yaxes(rangemode='tozero', row=3, col=1)


def _add_energy(figure: go.Figure, show: Show) -> None:
    middles, windows = _windows(show, show.drives[WITH].frames)
    for name, of, color in (
        ('board', 'energy_j', '#009e73'),
        ('radio', 'radio_j', '#cc79a7'),
    ):
        values = [_mean_mj(window, of) for window in windows]
        figure.add_scatter(
            x=middles, y=values, mode='lines', stackgroup='joules', name=f'{name}, modelled',
            line={'color': color, 'width': 1}, hovertemplate='%{y:.1f} mJ', row=4, col=1,
        )  # fmt: skip
    middles, windows = _windows(show, show.drives[ALONE].frames)
    figure.add_scatter(
        x=middles, y=[_mean_mj(window, 'energy_j') for window in windows], mode='lines',
        name='board of the robot alone', line={'color': GREY, 'dash': 'dot'},
        hovertemplate='%{y:.1f} mJ', row=4, col=1,
    )  # fmt: skip
    figure.update_yaxes(rangemode='tozero', row=4, col=1)


def _add_f1(figure: go.Figure, show: Show) -> None:
    for name, color, dash in ((WITH, _EDGE_COLOR, 'solid'), (ALONE, GREY, 'dot')):
        middles, windows = _windows(show, show.drives[name].frames)
        figure.add_scatter(
            x=middles, y=[round(show.f1(window), 4) for window in windows], mode='lines',
            name=f'F1 {name}', line={'color': color, 'dash': dash, 'width': 2},
            hovertemplate='%{y:.3f}', row=5, col=1,
        )  # fmt: skip
    figure.update_yaxes(range=[0, 1.02], row=5, col=1)


def _add_marks(figure: go.Figure, show: Show) -> None:
    for happening in show.happenings:
        at_s = happening.at_s - show.began_s
        if at_s > FIRST_S:
            figure.add_vline(
                x=at_s, line={'color': _MARKS[happening.kind], 'dash': 'dot', 'width': 1.2}
            )


def _named_marks(figure: go.Figure, show: Show) -> go.Figure:
    """Numbers at the lines; the words stand below the picture, where there is room."""
    number = 0
    for happening in show.happenings:
        at_s = happening.at_s - show.began_s
        if at_s > FIRST_S:
            number += 1
            figure.add_annotation(
                x=at_s, y=1.0, yref='paper', yanchor='bottom', yshift=16, text=f'<b>{number}</b>',
                showarrow=False, font={'size': 12, 'color': _MARKS[happening.kind]},
                hovertext=happening.words,
            )  # fmt: skip
    figure.update_layout(margin={'t': 60}, legend={'y': -0.08, 'yanchor': 'top', 'x': 0})
    figure.update_layout(legend={'xanchor': 'left'}, height=1100)
    return figure


def _windows(
    show: Show, frames: Sequence[AnsweredFrame]
) -> tuple[list[float], list[list[AnsweredFrame]]]:
    """Middles of windows that move along, and the frames in each; empty ones are left out."""
    times = np.array([frame.arrived_s - show.began_s for frame in frames])
    middles, windows = [], []
    for middle in np.arange(_WINDOW_S / 2, _end_s(show), _STEP_S):
        first, last = np.searchsorted(times, [middle - _WINDOW_S / 2, middle + _WINDOW_S / 2])
        if last > first:
            middles.append(round(float(middle), 3))
            windows.append(list(frames[first:last]))
    return middles, windows


def _mean_mj(frames: Sequence[AnsweredFrame], name: str) -> float:
    return round(1e3 * float(np.mean([getattr(frame, name) for frame in frames])), 3)


def _times(show: Show, frames: Sequence[AnsweredFrame]) -> list[float]:
    return [round(frame.arrived_s - show.began_s, 3) for frame in frames]


def _end_s(show: Show) -> float:
    return max(f.arrived_s for drive in show.drives.values() for f in drive.frames) - show.began_s


def _depth(name: str) -> tuple[int, str]:
    return ({'track': 0, 'temporal': 1, 'full': 8, 'closer': 7}.get(name, 5), name)
