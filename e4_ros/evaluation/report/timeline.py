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

"""A run over time: exits, latency, joules and clocks on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.evaluation.report.figure_style import GREY, plain
from e4_ros.evaluation.report.summary import Summary
from e4_ros.perception.palette import exit_colors, hertz
from e4_ros.perception.records import FrameRecord, RunInfo

_CLOCKS = [[0, '#dfe9f5'], [0.5, '#5b9bd5'], [1, '#173f6b']]


def timeline(records: Sequence[FrameRecord], info: RunInfo, summary: Summary) -> go.Figure:
    """Exits, latency, joules and clocks over time on one shared axis."""
    with_energy = summary.energy_j_per_frame is not None
    clocks = [record.mean_point() for record in records]
    domains = list(next((point for point in clocks if point), {}))
    rows = [
        'exit',
        'latency',
        *(['energy'] if with_energy else []),
        *(['clocks'] if domains else []),
    ]
    weights = {'exit': 0.6, 'latency': 3.4, 'energy': 2.4, 'clocks': 0.55 * len(domains)}
    titles = {
        'exit': 'Exit that answered',
        'latency': 'Latency (ms)',
        'energy': f'Energy of a frame (mJ, {summary.energy_source})',
        'clocks': 'Mean clock of the frame, share of the highest allowed',
    }
    figure = make_subplots(
        rows=len(rows), cols=1, shared_xaxes=True, vertical_spacing=0.055,
        row_heights=[weights[row] for row in rows], subplot_titles=[titles[row] for row in rows],
    )  # fmt: skip
    seconds = _seconds(records)
    _add_ribbon(figure, records, info, seconds)
    _add_latency(figure, records, info, seconds, rows.index('latency') + 1)
    if with_energy:
        _add_energy(figure, records, info, seconds, rows.index('energy') + 1)
    if domains:
        _add_clocks(figure, clocks, domains, info, seconds, rows.index('clocks') + 1)
    end = float(seconds[-1])
    figure.update_xaxes(range=[-0.005 * end, 1.005 * end] if end else None)
    figure.update_xaxes(title_text='time (s)', row=len(rows), col=1)
    figure.update_annotations(x=0, xanchor='left', font_size=13)
    figure.update_layout(height=150 + int(70 * sum(weights[row] for row in rows)))
    return plain(figure)


def _add_ribbon(
    figure: go.Figure, records: Sequence[FrameRecord], info: RunInfo, seconds: np.ndarray
) -> None:
    colors = exit_colors(info.exits)
    names = list(colors)
    top = max(len(names) - 1, 1)
    # Two stops a colour make steps of the scale instead of a gradient.
    scale = [
        [(index + side) / len(names), colors[name]]
        for index, name in enumerate(names)
        for side in (0, 1)
    ]
    figure.add_heatmap(
        x=seconds, y=[''], z=[[names.index(record.result.exit) for record in records]],
        customdata=[[record.result.exit for record in records]], zmin=-0.5, zmax=top + 0.5,
        colorscale=scale, showscale=False, hovertemplate='%{x:.2f} s: %{customdata}<extra></extra>',
        row=1, col=1,
    )  # fmt: skip
    figure.update_yaxes(showgrid=False, row=1, col=1)


def _add_latency(
    figure: go.Figure,
    records: Sequence[FrameRecord],
    info: RunInfo,
    seconds: np.ndarray,
    row: int,
) -> None:
    full = [(t, r.full.latency_s) for t, r in zip(seconds, records, strict=True) if r.full]
    if full:
        figure.add_scattergl(
            x=[t for t, _ in full], y=[round(s * 1e3, 3) for _, s in full], mode='lines',
            line={'color': GREY, 'width': 1}, opacity=0.65, name='full network',
            hovertemplate='full network %{y:.2f} ms<extra></extra>', row=row, col=1,
        )  # fmt: skip
    latencies = np.array([record.result.latency_s for record in records]) * 1e3
    _add_by_exit(figure, records, info, seconds, latencies, 'ms', row)
    # One hiccup of the machine must not flatten everything else.
    ceiling = np.percentile(np.concatenate([latencies, [s * 1e3 for _, s in full]]), 99.5)
    figure.update_yaxes(range=[0, float(ceiling) * 1.25], row=row, col=1)


def _add_energy(
    figure: go.Figure,
    records: Sequence[FrameRecord],
    info: RunInfo,
    seconds: np.ndarray,
    row: int,
) -> None:
    millijoules = np.array([record.energy_j for record in records]) * 1e3
    _add_by_exit(figure, records, info, seconds, millijoules, 'mJ', row, legend=False)
    if math.isfinite(info.baseline_energy_j):
        baseline = info.baseline_energy_j * 1e3
        figure.add_hline(
            y=baseline, line={'color': GREY, 'dash': 'dash', 'width': 1.5}, row=row, col=1,
            annotation={'text': f'baseline {baseline:.1f} mJ', 'font': {'size': 12}},
            annotation_position='top right',
        )  # fmt: skip
        figure.update_yaxes(
            range=[0, max(baseline, float(np.nanmax(millijoules))) * 1.2], row=row, col=1
        )


def _add_by_exit(
    figure: go.Figure,
    records: Sequence[FrameRecord],
    info: RunInfo,
    seconds: np.ndarray,
    values: np.ndarray,
    unit: str,
    row: int,
    legend: bool = True,
) -> None:
    taken = np.array([record.result.exit for record in records])
    frames = np.array([record.frame for record in records])
    for name, color in exit_colors(info.exits).items():
        here = taken == name
        if here.any():
            figure.add_scattergl(
                x=seconds[here], y=values[here].round(4), mode='markers', name=name,
                customdata=frames[here], legendgroup=name, showlegend=legend,
                marker={'color': color, 'size': 5},
                hovertemplate=f'frame %{{customdata}}: %{{y:.2f}} {unit}', row=row, col=1,
            )  # fmt: skip


def _add_clocks(
    figure: go.Figure,
    clocks: Sequence[dict[str, float]],
    domains: Sequence[str],
    info: RunInfo,
    seconds: np.ndarray,
    row: int,
) -> None:
    highest = {
        name: info.domain_limits_hz[name][1]
        if name in info.domain_limits_hz
        else max(point.get(name, 0) for point in clocks)
        for name in domains
    }
    shares = [[p.get(name, math.nan) / highest[name] * 100 for p in clocks] for name in domains]
    words = [[hertz(p[name]) if name in p else '' for p in clocks] for name in domains]
    figure.add_heatmap(
        x=seconds, y=list(domains), z=np.round(shares, 2), customdata=words, zmin=0, zmax=100,
        colorscale=_CLOCKS, colorbar={
            'orientation': 'h', 'thickness': 8, 'len': 0.25, 'x': 1, 'xanchor': 'right',
            'y': -0.02, 'yanchor': 'top', 'ticksuffix': ' %', 'nticks': 3, 'outlinewidth': 0,
        },
        hovertemplate='%{x:.2f} s, %{y}: %{customdata}<extra></extra>', row=row, col=1,
    )  # fmt: skip
    figure.update_yaxes(showgrid=False, autorange='reversed', row=row, col=1)


def _seconds(records: Sequence[FrameRecord]) -> np.ndarray:
    """Time since the first frame; frame numbers where the stamps do not rise."""
    stamps = np.array([record.stamp_s for record in records])
    if len(stamps) > 1 and (np.diff(stamps) <= 0).any():
        return np.array([float(record.frame) for record in records])
    return (stamps - stamps[0]).round(4)
