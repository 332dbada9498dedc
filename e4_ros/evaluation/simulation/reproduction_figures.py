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

"""Pictures of `e4 reproduce`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.evaluation.simulation.reproduction import STOCK, TOP, WORKLOADS
from e4_ros.evaluation.simulation.reproduction_summary import (
    FIXED,
    FIXED_EXITS,
    IN_TIME_PERCENT,
    by_scene,
)

Row = dict[str, Any]
_SHORT = {'pedestrian_ssdlite': 'ssdlite', 'efficientnet_lite0': 'lite0'}
_STEPS = (
    ('stock governors', '#b9bfc7'),
    ('best rival in time', '#7d8792'),
    ('one point, whole network', '#56b4e9'),
    ('one point with exits', '#0072b2'),
    ('E4', '#009e73'),
)
_WORDS = {
    'performance': 'CPU, GPU at top; memory scales',
    TOP: 'all clocks at top (jetson_clocks)',
    STOCK: 'stock: schedutil, podgov',
    'schedutil': 'schedutil; GPU at top',
    'simple_ondemand': 'schedutil, simple_ondemand',
    'powersave': 'all clocks at bottom',
    'ztt': 'zTT (learning)',
    'ring_dvfs_like': 'as Ring-DVFS (learning)',
    FIXED: 'one point for all segments',
    'eenet_exits': "stock with EENet's exits",
    'e4_published': 'E4, blind to switch delays',
    'e4': 'E4',
    'e4_ideal': 'E4, if clocks changed at once',
    'e4_emc_top': 'E4 without the memory clock',
}
_WIDEST = 160  # percent; what is longer is cut, its figure stands beside it
_FONT = {'family': 'system-ui, sans-serif', 'size': 13}


def in_words(policy: str) -> str:
    """A policy's name for people."""
    base = policy.removesuffix('+exits')
    if base in _WORDS:
        words = _WORDS[base]
    else:
        words = _WORDS[base.split('@')[0]].removesuffix('; memory scales') + '; memory at top'
    return words + (' + exits' if base != policy else '')


def policy_figure(rows: Sequence[Row]) -> go.Figure:
    """Energy and late frames of every policy, mean of the boards, each board a dot."""
    top = {r['board']: r['energy_j_per_frame'] for r in rows if r['policy'] == TOP}
    by_policy: dict[str, list[Row]] = {}
    for row in rows:
        by_policy.setdefault(row['policy'], []).append(row)
    ratios = {
        policy: [100 * r['energy_j_per_frame'] / top[r['board']] for r in found]
        for policy, found in by_policy.items()
    }
    order = sorted(by_policy, key=lambda policy: -np.mean(ratios[policy]))
    late = [float(np.mean([r['deadline_miss_percent'] for r in by_policy[p]])) for p in order]
    means = [float(np.mean(ratios[p])) for p in order]
    names = [in_words(policy) for policy in order]
    figure = make_subplots(
        rows=1, cols=2, shared_yaxes=True, column_widths=[0.68, 0.32], horizontal_spacing=0.03
    )
    colors = [
        '#009e73' if p == 'e4' else '#dfe2e6' if share > IN_TIME_PERCENT else '#8b96a2'
        for p, share in zip(order, late, strict=True)
    ]
    figure.add_bar(
        x=[min(mean, _WIDEST) for mean in means], y=names, orientation='h', marker_color=colors,
        text=[f'{mean:.0f} %' for mean in means], textposition='inside', insidetextanchor='start',
        row=1, col=1,
    )  # fmt: skip
    dots = [
        (r, ratio) for policy in order
        for r, ratio in zip(by_policy[policy], ratios[policy], strict=True)
    ]  # fmt: skip
    figure.add_scatter(
        x=[min(ratio, _WIDEST) for _, ratio in dots], y=[in_words(r['policy']) for r, _ in dots],
        mode='markers', marker={'size': 5, 'color': '#1c2430', 'opacity': 0.6},
        text=[f'{r["board"]}: {ratio:.1f} %' for r, ratio in dots], hoverinfo='text',
        row=1, col=1,
    )  # fmt: skip
    figure.add_bar(
        x=late, y=names, orientation='h', marker_color='#d55e00',
        text=[f'{share:.1f} %' for share in late], textposition='auto', row=1, col=2,
    )  # fmt: skip
    figure.update_xaxes(title='energy, % of all clocks at top', range=[0, _WIDEST], row=1, col=1)
    figure.update_xaxes(title='late frames, %', range=[0, 105], row=1, col=2)
    return figure.update_layout(
        template='plotly_white', height=90 + 23 * len(order), showlegend=False,
        margin={'l': 10, 'r': 20, 't': 10, 'b': 45}, font=_FONT, bargap=0.15,
    )  # fmt: skip


def steps_figure(rows: Sequence[Row], summary: Mapping[str, Any]) -> go.Figure:
    """From the stock governors to E4 in steps; pale is what the waiting board draws."""
    scenes = by_scene(rows)
    figure = make_subplots(
        rows=2, cols=1, subplot_titles=WORKLOADS, shared_xaxes=True, vertical_spacing=0.09
    )
    for place, workload in enumerate(WORKLOADS, 1):
        shown = [s for s in summary['scenes'] if s['workload'] == workload]
        if not shown:
            continue
        where = [
            [s['board'].removeprefix('jetson_') for s in shown],
            [_SHORT.get(s['backbone'], s['backbone']) for s in shown],
        ]
        found = [scenes[s['board'], s['backbone'], workload] for s in shown]
        bests = [f[s['rivals']['best']] for f, s in zip(found, shown, strict=True)]
        drawn = [[f[STOCK] for f in found], bests]
        drawn += [[f[name] for f in found] for name in (FIXED, FIXED_EXITS, 'e4')]
        unit = np.array([row['energy_j_per_frame'] for row in bests]) / 100
        for group, ((name, color), of) in enumerate(zip(_STEPS, drawn, strict=True)):
            whole = np.array([row['energy_j_per_frame'] for row in of])
            above = np.array([row['above_idle_j_per_frame'] for row in of])
            streams = np.array([row['energy_j_of_streams'] for row in of])
            spread = {'type': 'data', 'thickness': 1, 'width': 2, 'symmetric': False,
                      'array': (streams.max(axis=1) - whole) / unit,
                      'arrayminus': (whole - streams.min(axis=1)) / unit}  # fmt: skip
            late = [row['deadline_miss_percent'] for row in of]
            about = {
                'x': where, 'offsetgroup': str(group), 'marker_color': color, 'legendgroup': name,
                'hovertext': [f'{name}, {in_words(r["policy"])}: {s:.1f} % late' for r, s in
                              zip(of, late, strict=True)],
            }  # fmt: skip
            figure.add_bar(
                y=(whole - above) / unit, opacity=0.3, showlegend=False, row=place, col=1, **about
            )
            figure.add_bar(
                y=above / unit, base=(whole - above) / unit, name=name, error_y=spread,
                showlegend=place == 1, row=place, col=1, **about,
            )  # fmt: skip
    figure.update_yaxes(title='% of the best rival')
    return figure.update_layout(
        template='plotly_white', height=640, barmode='group', font=_FONT,
        margin={'l': 60, 'r': 20, 't': 60, 'b': 60}, legend={'orientation': 'h', 'y': 1.12},
    )  # fmt: skip


def paces_figure(paces: Sequence[Mapping[str, Any]]) -> go.Figure:
    """What is saved at each pace, with intervals."""
    figure = go.Figure()
    for key, name, color in (
        ('saving_vs_best_governor_percent', 'than the best rival in time', '#7d8792'),
        ('saving_vs_any_lateness_percent', 'than the cheapest rival, however late', '#d55e00'),
        ('saving_vs_best_with_exits_percent', 'than the best with the same exits', '#0072b2'),
    ):
        values = np.array([p['summary'][key] for p in paces])
        ends = np.array([p['summary']['intervals'][key] for p in paces])
        figure.add_scatter(
            x=[f'{p["pace"]:g}×' for p in paces], y=values, name=f'less {name}',
            line={'color': color},
            error_y={'type': 'data', 'symmetric': False, 'array': ends[:, 1] - values,
                     'arrayminus': values - ends[:, 0]},
        )  # fmt: skip
    figure.update_xaxes(title='time between frames, in times of the fastest latency')
    figure.update_yaxes(title='E4 draws less, %', rangemode='tozero')
    return figure.update_layout(
        template='plotly_white', height=340, font=_FONT,
        margin={'l': 60, 'r': 20, 't': 10, 'b': 50}, legend={'orientation': 'h', 'y': 1.18},
    )  # fmt: skip
