"""One self-contained page of `e4 reproduce`: who spends what, and who is late."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

_COLORS = {
    'performance': '#b8bec6',
    'schedutil': '#9aa3ad',
    'simple_ondemand': '#7d8792',
    'nvhost_podgov': '#5f6a76',
    'ztt': '#cc79a7',
    'ring_dvfs_like': '#a05c86',
    'fixed_pair': '#56b4e9',
    'eenet_exits': '#e69f00',
    'fixed_pair+exits': '#0072b2',
    'e4_published': '#d55e00',
    'e4': '#009e73',
    'e4_ideal': '#7fd1b9',
}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; margin: 0 auto; max-width: 1200px;
  padding: 2rem 1.5rem 4rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .2rem; }
p { color: #4a5464; max-width: 80ch; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.tile { flex: 1 1 170px; border: 1px solid #e3e7ec; border-radius: 10px; padding: .7rem 1rem; }
.tile b { display: block; font-size: 1.45rem; } .tile span { color: #6a7484; }
table { border-collapse: collapse; width: 100%; font-size: 13px;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .5rem; border-bottom: 1px solid #e3e7ec; }
th:nth-child(-n+4), td:nth-child(-n+4) { text-align: left; }
tr.ours { font-weight: 600; background: #f0faf6; } td.late { color: #d55e00; }
"""


def write_page(rows: Sequence[dict[str, Any]], summary: dict[str, Any], path: str | Path) -> None:
    """Write the page; it needs no network."""
    tiles = [
        ('saving_vs_best_governor_percent', 'less energy a frame than the best governor that is '
         'late no more often'),
        ('from_clocks_percent', 'of that from clocks, on the whole network'),
        ('from_exits_percent', 'of that from exits on top'),
        ('saving_vs_best_kernel_governor_percent', 'less than the best kernel governor in time'),
        ('saving_above_idle_percent', 'less, counting only what perception adds to the idle board'),
    ]  # fmt: skip
    body = ['<h1>E4 against the governors</h1>', f'<p>{_INTRO}</p><div class="tiles">']
    body += [
        f'<div class="tile"><b>{summary[key]:.1f} %</b><span>{text}</span></div>'
        for key, text in tiles
    ]
    wins = ', '.join(' / '.join(scene) for scene in summary['best_fixed_pair_wins'])
    body.append(
        '</div><p>A fixed pair of clocks with the same exits ties or wins in: '
        f'{html.escape(wins) or "no scene"}.</p>'
    )
    for number, (backbone, workload) in enumerate(_groups(rows)):
        chosen = [r for r in rows if (r['backbone'], r['workload']) == (backbone, workload)]
        body.append(f'<h2>{html.escape(backbone)}, {workload}</h2>')
        body.append(
            _figure(chosen).to_html(
                full_html=False,
                include_plotlyjs=number == 0,
                config={'displayModeBar': False, 'responsive': True},
            )
        )
    body.append('<h2>Every figure</h2>' + _table(rows))
    text = '\n'.join(body)
    Path(path).write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>E4 against the governors'
        f'</title><style>{_STYLE}</style><body>{text}</body></html>',
        encoding='utf-8',
    )


_INTRO = (
    'Modelled boards, played on a timeline. Energy is all that the board draws, pauses included, '
    'over the frames. Governors, learning governors (ztt, ring_dvfs_like) and fixed_pair run the '
    'whole network on every frame; the others leave it where a real stream did. e4_published '
    'plans as if clocks changed at once and pays when played; e4_ideal lives in that world.'
)


def _groups(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((r['backbone'], r['workload']) for r in rows))


def _figure(rows: Sequence[dict[str, Any]]) -> go.Figure:
    boards = list(dict.fromkeys(r['board'] for r in rows))
    top = {r['board']: r['energy_j_per_frame'] for r in rows if r['policy'] == 'performance'}
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
    figure.update_yaxes(title='energy, % of performance', row=1, col=1)
    figure.update_yaxes(title='late frames, %', range=[0, 105], row=2, col=1)
    return figure.update_layout(
        template='plotly_white',
        height=520,
        barmode='group',
        margin={'l': 60, 'r': 20, 't': 10, 'b': 40},
        legend={'orientation': 'h', 'y': 1.14},
        font={'family': 'system-ui, sans-serif', 'size': 13},
    )


def _table(rows: Sequence[dict[str, Any]]) -> str:
    head = ('board', 'backbone', 'workload', 'policy', 'mJ a frame', 'above idle', 'p50 ms',
            'p99 ms', 'late', 'agreement')  # fmt: skip
    lines = ['<table><tr>' + ''.join(f'<th>{h}</th>' for h in head) + '</tr>']
    for r in rows:
        late = r['deadline_miss_percent']
        cells = [
            *(f'<td>{html.escape(r[k])}</td>' for k in ('board', 'backbone', 'workload', 'policy')),
            f'<td>{1e3 * r["energy_j_per_frame"]:.2f}</td>',
            f'<td>{1e3 * r["above_idle_j_per_frame"]:.2f}</td>',
            f'<td>{r["latency_ms"]["p50"]:.2f}</td>',
            f'<td>{r["latency_ms"]["p99"]:.2f}</td>',
            f'<td{" class=late" if late > 1 else ""}>{late:.1f} %</td>',
            f'<td>{r["agreement"]:.3f}</td>',
        ]
        lines.append(f'<tr{" class=ours" if r["policy"] == "e4" else ""}>{"".join(cells)}</tr>')
    return ''.join(lines) + '</table>'
