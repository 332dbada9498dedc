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

"""The pictures of a run's page, as plotly figures without colours of the page's theme."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from e4_ros.evaluation.report import quality_section
from e4_ros.evaluation.report.figure_style import GREY, plain
from e4_ros.evaluation.report.summary import Summary
from e4_ros.evaluation.report.timeline import timeline
from e4_ros.perception.palette import exit_colors, joules
from e4_ros.perception.records import FrameRecord, RunInfo


def all_figures(
    records: Sequence[FrameRecord], info: RunInfo, summary: Summary
) -> dict[str, dict[str, Any]]:
    """Figures by the id of the element they fill; only those that have something to show."""
    figures = {'timeline': timeline(records, info, summary), 'distribution': distribution(records)}
    if summary.energy_j_per_frame is not None:
        figures['energy'] = energy_by_exit(records, info, summary)
    if summary.by_labels is not None:
        figures[quality_section.CHART] = quality_section.chart(summary.by_labels)
    return {name: json.loads(figure.to_json()) for name, figure in figures.items()}


def distribution(records: Sequence[FrameRecord]) -> go.Figure:
    """How often which latency occurs, early exits against the full network, on a log axis."""
    early = np.array([record.result.latency_s for record in records]) * 1e3
    full = np.array([record.full.latency_s for record in records if record.full]) * 1e3
    everything = np.concatenate([early, full])
    low, high = math.log10(everything.min()) - 0.05, math.log10(everything.max()) + 0.05
    edges = np.logspace(low, high, 61)
    figure = go.Figure()
    for name, values, color in (('full network', full, GREY), ('this run', early, '#2a8fd0')):
        if not len(values):
            continue
        share = np.histogram(values, edges)[0] / len(values) * 100
        figure.add_scatter(
            x=np.sqrt(edges[1:] * edges[:-1]).round(4), y=share.round(3), name=name, mode='lines',
            line={'shape': 'hvh', 'color': color, 'width': 2}, fill='tozeroy',
            fillcolor=_translucent(color), hovertemplate='%{x:.2f} ms: %{y:.1f} % of frames',
        )  # fmt: skip
        median, top = float(np.median(values)), float(share.max())
        figure.add_scatter(
            x=[median, median], y=[0, top * 1.08], mode='lines+text', showlegend=False,
            text=['', f'p50 {median:.1f} ms'], textposition='top center', cliponaxis=False,
            textfont={'color': color}, line={'color': color, 'dash': 'dot', 'width': 1.5},
            hoverinfo='skip',
        )  # fmt: skip
    figure.update_xaxes(type='log', title_text='latency (ms)', dtick='D2', range=[low, high])
    figure.update_yaxes(title_text='share of frames (%)', rangemode='tozero')
    figure.update_layout(height=340)
    return plain(figure)


def energy_by_exit(records: Sequence[FrameRecord], info: RunInfo, summary: Summary) -> go.Figure:
    """Mean joules of a frame at each exit, the run's mean and the baseline."""
    groups = {name: [r.energy_j for r in records if r.result.exit == name] for name in info.exits}
    means = {name: float(np.nanmean(group)) for name, group in groups.items() if group}
    colors = exit_colors(info.exits)
    bars = [(name, value, colors[name]) for name, value in means.items()]
    bars.append(('this run', float(summary.energy_j_per_frame or 0), '#2a8fd0'))
    if summary.baseline_energy_j_per_frame:
        bars.append(('baseline', summary.baseline_energy_j_per_frame, GREY))
    names, values, fills = zip(*bars, strict=True)
    figure = go.Figure(
        go.Bar(
            y=names, x=[value * 1e3 for value in values], orientation='h', marker_color=fills,
            text=[joules(value) for value in values], textposition='auto', hoverinfo='skip',
        )
    )  # fmt: skip
    figure.update_xaxes(title_text=f'mJ a frame, {summary.energy_source}', rangemode='tozero')
    figure.update_yaxes(autorange='reversed', showgrid=False)
    figure.update_layout(height=340, bargap=0.35)
    return plain(figure)


def _translucent(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f'rgba({red},{green},{blue},0.22)'
