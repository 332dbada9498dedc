"""The pictures of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.benchmarks.exits.frontier import front_of

# Okabe and Ito (2008), told apart by the colour-blind too: name on the page, colour, line, mark.
CURVES = {
    'cascade': ('cascade', '#009e73', 'solid', 'circle'),
    'no_memory': ('cascade without memory', '#56b4e9', 'dash', 'circle'),
    'no_attention': ('cascade without attention', '#cc79a7', 'dash', 'circle'),
    'score_threshold': ('score exits (BranchyNet)', '#e69f00', 'solid', 'square'),
    'hold': ('last answer held', '#8b95a3', 'dot', 'diamond'),
    'constant_velocity': ('last answer moved on', '#4a5464', 'dot', 'diamond'),
    'smaller_input': ('full network, smaller input', '#0072b2', 'solid', 'square'),
}
_FULL = '#d55e00'
_LOWEST = 0.4  # what is worse than this concerns nobody


def curves_figure(result: Mapping[str, Any]) -> go.Figure:
    """All curves over speed-up: F1 against the teacher, and against the full network."""
    figure = make_subplots(
        rows=1, cols=2, column_widths=[0.66, 0.34], horizontal_spacing=0.08,
        subplot_titles=['F1 against the offline teacher', 'F1 against the full network'],
    )  # fmt: skip
    for name, look in CURVES.items():
        points = sorted(result['curves'].get(name, []), key=lambda p: p['speedup'])
        if points:
            for column, key in ((1, 'f1_reference'), (2, 'f1_full')):
                _add_curve(figure, name, look, points, key, column)
    _add_front(figure, result['curves']['cascade'])
    bar = result['full_f1_reference']
    for column, quality in ((1, bar), (2, 1.0)):
        figure.add_scatter(
            x=[1], y=[quality], mode='markers', name='full network', legendgroup='full',
            showlegend=column == 1, marker={'color': _FULL, 'size': 15, 'symbol': 'star'},
            hovertemplate=f'full network: {quality:.3f}<extra></extra>', row=1, col=column,
        )  # fmt: skip
    figure.add_hline(
        y=bar, line={'color': _FULL, 'dash': 'dash', 'width': 1.2}, row=1, col=1,
        annotation={'text': f'the full network’s own: {bar:.3f}', 'font': {'color': _FULL}},
        annotation_position='bottom left',
    )  # fmt: skip
    ticks = [1, 1.5, 2, 3, 4, 6, 8, 12]
    figure.update_xaxes(
        type='log', tickvals=ticks, ticktext=[f'{t:g}×' for t in ticks],
        title='speed-up of the mean latency', tickangle=0,
    )  # fmt: skip
    tops = [p['f1_reference'] for points in result['curves'].values() for p in points]
    figure.update_xaxes(tickvals=ticks[::2], ticktext=[f'{t:g}×' for t in ticks[::2]], row=1, col=2)
    figure.update_yaxes(range=[_LOWEST, max([*tops, bar]) + 0.04], row=1, col=1)
    figure.update_yaxes(range=[_LOWEST, 1.03], row=1, col=2)
    figure.update_annotations(font_size=13)
    return figure.update_layout(
        template='plotly_white', height=560, margin={'l': 50, 'r': 10, 't': 40, 'b': 50},
        legend={'orientation': 'h', 'y': -0.16, 'x': 0},
        font={'family': 'system-ui, sans-serif', 'size': 13},
    )  # fmt: skip


def _add_curve(
    figure: go.Figure,
    name: str,
    look: tuple[str, str, str, str],
    points: Sequence[Mapping[str, Any]],
    key: str,
    column: int,
) -> None:
    label, color, dash, symbol = look
    ours = name == 'cascade'
    figure.add_scatter(
        x=[p['speedup'] for p in points], y=[p[key] for p in points],
        mode='markers' if ours and column == 1 else 'lines+markers', name=label, legendgroup=name,
        showlegend=column == 1, line={'color': color, 'dash': dash, 'width': 3 if ours else 1.6},
        marker={'color': color, 'size': 9 if ours else 6, 'symbol': symbol},
        text=[f'{p["setting"]:g}, {p["early_share"]:.0%} early' for p in points],
        hovertemplate=f'{label} %{{text}}<br>%{{x:.2f}}× %{{y:.3f}}<extra></extra>',
        row=1, col=column,
    )  # fmt: skip


def _add_front(figure: go.Figure, points: Sequence[Mapping[str, Any]]) -> None:
    """What the others are held against at equal mean latency; drawn between its points as well.

    The best quality can also be had more slowly: from the slowest point on the line is level.
    """
    front = front_of(points)
    xs, ys = [1 / front[0][0]], [front[0][1]]
    for (low, worse), (high, better) in pairwise(front):
        for step in range(1, 9):
            xs.append(1 / (low + (high - low) * step / 8))
            ys.append(worse + (better - worse) * step / 8)
    xs.append(min(p['speedup'] for p in points))
    ys.append(ys[-1])
    figure.add_scatter(
        x=xs, y=ys, mode='lines', legendgroup='cascade', showlegend=False, hoverinfo='skip',
        line={'color': CURVES['cascade'][1], 'width': 3}, row=1, col=1,
    )  # fmt: skip
