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
"""One page about cameras under service levels: ages, misses and depth, a plain queue beside."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from e4_ros.evaluation.camera_run import FIFO, LEVELS, CameraRun
from e4_ros.files import write_whole
from e4_ros.vision.inference.exit_thresholds import TRACK

_COLORS = {LEVELS: '#009e73', FIFO: '#d55e00'}  # Okabe and Ito (2008)
_DEPTHS = {
    'tracks, trusted': '#56b4e9',
    'tracks, for want of time': '#e69f00',
    'network': '#0072b2',
    'no answer': '#999999',
}
_MOST_MS = 600.0


def ages_figure(runs: Sequence[CameraRun]) -> go.Figure:
    """Age of each answer over time, a row for each camera, with the line of its service level.

    Args:
        runs: the same cameras at one load, by each rule.
    """
    videos = runs[0].videos
    titles = [f'{v.name}: wanted within {1e3 * v.slo_s:.0f} ms' for v in videos]
    figure = make_subplots(
        rows=len(videos), cols=1, shared_xaxes=True, vertical_spacing=0.06, subplot_titles=titles
    )
    for row, video in enumerate(videos, 1):
        for run in runs:
            answers = [a for a in run.of(row - 1) if math.isfinite(a.age_s)]
            figure.add_scatter(
                x=[round(a.arrived_s, 3) for a in answers],
                y=[round(min(1e3 * a.age_s, _MOST_MS), 1) for a in answers],
                mode='markers', name=run.rule, legendgroup=run.rule, showlegend=row == 1,
                marker={'size': 4, 'color': _COLORS[run.rule], 'opacity': 0.7}, row=row, col=1,
            )  # fmt: skip
        figure.add_hline(
            y=1e3 * video.slo_s, line={'color': '#4a5464', 'dash': 'dash', 'width': 1.2},
            row=row, col=1,
        )  # fmt: skip
        figure.update_yaxes(title_text='ms', rangemode='tozero', row=row, col=1)
    figure.update_xaxes(title_text='seconds', row=len(videos), col=1)
    figure.update_layout(
        template='plotly_white', width=1000, height=170 * len(videos) + 90,
        title=f'age of answers at load {runs[0].load:g} (above {_MOST_MS:.0f} ms drawn there)',
        legend={'orientation': 'h', 'y': 1.08, 'x': 1, 'xanchor': 'right'},
    )  # fmt: skip
    return figure


def misses_figure(runs: Sequence[CameraRun]) -> go.Figure:
    """Share of images that were late or got no answer, over the loads, by each rule."""
    figure = go.Figure()
    for rule in dict.fromkeys(run.rule for run in runs):
        mine = [run for run in runs if run.rule == rule]
        loads = [run.load for run in mine]
        worst = [100 * max(r.missed(c) for c in range(len(r.videos))) for r in mine]
        line = {'color': _COLORS[rule], 'width': 2.5}
        figure.add_scatter(x=loads, y=[r.miss_percent for r in mine], name=rule, line=line)
        figure.add_scatter(
            x=loads, y=worst, name=f'{rule}, the camera that is worst off',
            line=line | {'dash': 'dot', 'width': 1.5},
        )  # fmt: skip
    figure.add_hline(y=5, line={'color': '#4a5464', 'dash': 'dash', 'width': 1})
    figure.update_xaxes(title_text='load: what the images ask for, by what the machine computes')
    figure.update_yaxes(title_text='late or no answer, %', range=[0, 101])
    figure.update_layout(template='plotly_white', width=1000, height=360, title='misses')
    return figure


def depths_figure(runs: Sequence[CameraRun]) -> go.Figure:
    """Where images were answered, a bar for each rule and load."""
    figure = go.Figure()
    names = [f'{run.rule}, load {run.load:g}' for run in runs]
    for depth, color in _DEPTHS.items():
        shares = [100 * depth_shares(run)[depth] for run in runs]
        figure.add_bar(x=names, y=shares, name=depth, marker_color=color)
    figure.update_yaxes(title_text='of all images, %', range=[0, 101])
    figure.update_layout(
        template='plotly_white', width=1000, height=380, barmode='stack', title='depth'
    )
    return figure


def depth_shares(run: CameraRun) -> dict[str, float]:
    """Where the images of a run were answered, as shares of all of them."""
    told = [
        'no answer'
        if not answer.exit
        else 'network'
        if answer.exit != TRACK
        else 'tracks, for want of time'
        if answer.held
        else 'tracks, trusted'
        for answer in run.answers
    ]
    return {name: told.count(name) / max(len(told), 1) for name in _DEPTHS}


def words(runs: Sequence[CameraRun]) -> list[str]:
    """What the runs came to, a sentence for each load."""
    told = []
    for load in dict.fromkeys(run.load for run in runs):
        by_rule = {run.rule: run for run in runs if run.load == load}
        ours, fifo = by_rule[LEVELS], by_rule[FIFO]
        ages = [1e3 * _p95_s(run) for run in (ours, fifo)]
        told.append(
            f'Load {load:g}, {sum(ours.rates_hz):.0f} images a second: {ours.miss_percent:.1f} % '
            f'late or without an answer under service levels, {fifo.miss_percent:.1f} % in order '
            f'of arrival; 95 % of the answers within {ages[0]:.0f} and {ages[1]:.0f} ms; '
            f'{ours.held_percent:.1f} % of the images had to do with the tracks for want of time.'
        )
    return told


def _p95_s(run: CameraRun) -> float:
    ages = [a.age_s for a in run.answers if math.isfinite(a.age_s)]
    return float(np.quantile(ages, 0.95)) if ages else math.nan


def write_camera_page(runs: Sequence[CameraRun], path: Path) -> None:
    """Write it as a page that needs nothing besides.

    Args:
        runs: both rules at each load.
        path: the HTML file.
    """
    most = max(run.load for run in runs)
    loads = dict.fromkeys((1.0 if any(run.load == 1 for run in runs) else most, most))
    figures = [misses_figure(runs), depths_figure(runs)]
    figures += [ages_figure([run for run in runs if run.load == load]) for load in loads]
    parts = [figure.to_html(full_html=False, include_plotlyjs=False) for figure in figures]
    told = ''.join(f'<li>{html.escape(text)}</li>' for text in words(runs))
    rows = ''.join(
        f'<tr><td>{html.escape(run.rule)}</td><td>{run.load:g}</td><td>{html.escape(v.name)}</td>'
        f'<td>{1e3 * v.slo_s:.0f} ms</td><td>{len(run.of(c))}</td>'
        f'<td>{100 * run.missed(c):.1f} %</td></tr>'
        for run in runs
        for c, v in enumerate(run.videos)
    )
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>Cameras under service levels</title><style>
body {{ font-family: system-ui, sans-serif; max-width: 1040px; margin: 2em auto; color: #1c2430 }}
td, th {{ padding: .2em .9em; text-align: left }} table {{ border-collapse: collapse }}
tr:nth-child(even) {{ background: #f2f4f7 }}
</style><script>{get_plotlyjs()}</script></head><body>
<h1>Cameras under service levels</h1>
<p>Four videos are played as cameras in one process, on one network, in real time. Each camera wants
its answers within a time of its own. The same images are answered twice: with the node's service
levels (earliest deadline first, depth by slack, what cannot be in time is dropped), and in order of
arrival, each as deep as its exits want.</p><ul>{told}</ul>{''.join(parts)}
<h2>Each camera</h2><table><tr><th>rule</th><th>load</th><th>camera</th><th>wanted within</th>
<th>images</th><th>late or no answer</th></tr>{rows}</table></body></html>
"""
    write_whole(path, page)
