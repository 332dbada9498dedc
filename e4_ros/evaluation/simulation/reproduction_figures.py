"""Pictures of `e4 reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.evaluation.simulation.reproduction import PINNED, TOP, WORKLOADS
from e4_ros.evaluation.simulation.reproduction_summary import by_scene

_SHORT = {'pedestrian_ssdlite': 'ssdlite', 'efficientnet_lite0': 'lite0'}
_COLORS = {
    TOP: '#c9ced4',
    f'schedutil{PINNED}': '#aab2bb',
    f'nvhost_podgov{PINNED}': '#8b96a2',
    'nvhost_podgov': '#6c7885',
    'simple_ondemand': '#4f5a66',
    'ztt': '#cc79a7',
    'ring_dvfs_like': '#a05c86',
    'fixed_pair': '#56b4e9',
    'eenet_exits': '#e69f00',
    'fixed_pair+exits': '#0072b2',
    'e4_published': '#d55e00',
    'e4_emc_top': '#4b5fae',
    'e4': '#009e73',
    'e4_ideal': '#7fd1b9',
}


def policy_figure(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """Energy and late frames of every policy, by board."""
    boards = list(dict.fromkeys(r['board'] for r in rows))
    top = {r['board']: r['energy_j_per_frame'] for r in rows if r['policy'] == TOP}
    figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        row_heights=[0.68, 0.32],
        vertical_spacing=0.06,
    )
    for policy, color in _COLORS.items():
        mine = {r['board']: r for r in rows if r['policy'] == policy}
        if not mine:
            continue
        shown = [b for b in boards if b in mine]
        ratio = [100 * mine[b]['energy_j_per_frame'] / top[b] for b in shown]
        late = [mine[b]['deadline_miss_percent'] for b in shown]
        bar = {'x': shown, 'name': policy, 'marker_color': color, 'legendgroup': policy}
        figure.add_bar(y=ratio, row=1, col=1, **bar)
        figure.add_bar(y=late, showlegend=False, row=2, col=1, **bar)
    figure.update_yaxes(title='energy, % of all clocks at top', row=1, col=1)
    figure.update_yaxes(title='late frames, %', range=[0, 105], row=2, col=1)
    return figure.update_layout(
        template='plotly_white',
        height=520,
        barmode='group',
        margin={'l': 60, 'r': 20, 't': 10, 'b': 40},
        legend={'orientation': 'h', 'y': 1.14},
        font={'family': 'system-ui, sans-serif', 'size': 13},
    )


def split_figure(rows: Sequence[dict[str, Any]], summary: dict[str, Any]) -> go.Figure:
    """What the waiting board draws, and what perception adds, for E4 and its best rival."""
    scenes = by_scene(rows)
    figure = make_subplots(
        rows=1, cols=2, subplot_titles=WORKLOADS, shared_yaxes=True, horizontal_spacing=0.03
    )
    for column, workload in enumerate(WORKLOADS, 1):
        shown = [s for s in summary['scenes'] if s['workload'] == workload]
        where = [
            [s['board'].removeprefix('jetson_') for s in shown],
            [_SHORT.get(s['backbone'], s['backbone']) for s in shown],
        ]
        both = [scenes[s['board'], s['backbone'], workload] for s in shown]
        rivals = [found[s['rival']] for s, found in zip(shown, both, strict=True)]
        ours = [found['e4'] for found in both]
        for group, (name, color, drawn) in enumerate(
            (('best governor', '#7d8792', rivals), ('E4', '#009e73', ours))
        ):
            whole = np.array([row['energy_j_per_frame'] for row in drawn])
            above = np.array([row['above_idle_j_per_frame'] for row in drawn])
            unit = np.array([row['energy_j_per_frame'] for row in rivals]) / 100
            place = {'x': where, 'offsetgroup': str(group), 'showlegend': column == 1}
            idle = (whole - above) / unit
            figure.add_bar(
                y=idle, name=f'{name}: waiting board', marker_color=color, opacity=0.25, **place,
                row=1, col=column,
            )  # fmt: skip
            figure.add_bar(
                y=above / unit, base=idle, name=f'{name}: above it', marker_color=color, **place,
                row=1, col=column,
            )  # fmt: skip
    figure.update_yaxes(title='energy, % of the best governor', row=1, col=1)
    return figure.update_layout(
        template='plotly_white',
        height=460,
        barmode='group',
        margin={'l': 60, 'r': 20, 't': 60, 'b': 90},
        legend={'orientation': 'h', 'y': 1.25},
        font={'family': 'system-ui, sans-serif', 'size': 13},
    )
