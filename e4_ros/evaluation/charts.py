"""The pictures of a run's page, as plotly figures without colours of the page's theme."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.evaluation.palette import exit_colors, hertz, joules
from e4_ros.evaluation.records import FrameRecord, RunInfo
from e4_ros.evaluation.summary import Summary

_GREY = '#8b95a3'
_CLOCKS = [[0, '#dfe9f5'], [0.5, '#5b9bd5'], [1, '#173f6b']]


def all_figures(
    records: Sequence[FrameRecord], info: RunInfo, summary: Summary
) -> dict[str, dict[str, Any]]:
    """Figures by the id of the element they fill; only those that have something to show."""
    figures = {'timeline': timeline(records, info, summary), 'distribution': distribution(records)}
    if summary.energy_j_per_frame is not None:
        figures['energy'] = energy_by_exit(records, info, summary)
    return {name: json.loads(figure.to_json()) for name, figure in figures.items()}


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
    return _plain(figure)


def distribution(records: Sequence[FrameRecord]) -> go.Figure:
    """How often which latency occurs, early exits against the full network, on a log axis."""
    early = np.array([record.result.latency_s for record in records]) * 1e3
    full = np.array([record.full.latency_s for record in records if record.full]) * 1e3
    everything = np.concatenate([early, full])
    low, high = math.log10(everything.min()) - 0.05, math.log10(everything.max()) + 0.05
    edges = np.logspace(low, high, 61)
    figure = go.Figure()
    for name, values, color in (('full network', full, _GREY), ('this run', early, '#2a8fd0')):
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
    return _plain(figure)


def energy_by_exit(records: Sequence[FrameRecord], info: RunInfo, summary: Summary) -> go.Figure:
    """Mean joules of a frame at each exit, the run's mean and the baseline."""
    groups = {name: [r.energy_j for r in records if r.result.exit == name] for name in info.exits}
    means = {name: float(np.nanmean(group)) for name, group in groups.items() if group}
    colors = exit_colors(info.exits)
    bars = [(name, value, colors[name]) for name, value in means.items()]
    bars.append(('this run', float(summary.energy_j_per_frame or 0), '#2a8fd0'))
    if summary.baseline_energy_j_per_frame:
        bars.append(('baseline', summary.baseline_energy_j_per_frame, _GREY))
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
    return _plain(figure)


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
            line={'color': _GREY, 'width': 1}, opacity=0.65, name='full network',
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
            y=baseline, line={'color': _GREY, 'dash': 'dash', 'width': 1.5}, row=row, col=1,
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


def _translucent(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f'rgba({red},{green},{blue},0.22)'


def _plain(figure: go.Figure) -> go.Figure:
    """Leave the colours of ink, grid and ground to the page."""
    figure.update_layout(
        template='none', paper_bgcolor='rgba(0,0,0,0)', plot_bgcolor='rgba(0,0,0,0)',
        margin={'l': 56, 'r': 16, 't': 34, 'b': 48}, hovermode='closest',
        legend={'orientation': 'h', 'x': 1, 'xanchor': 'right', 'y': 1, 'yanchor': 'bottom'},
    )  # fmt: skip
    figure.update_xaxes(zeroline=False, automargin=True)
    figure.update_yaxes(zeroline=False, automargin=True)
    return figure
