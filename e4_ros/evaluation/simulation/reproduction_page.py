"""One self-contained page of `e4 reproduce`: who spends what, and who is late."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from e4_ros.evaluation.simulation.reproduction_figures import policy_figure, split_figure
from e4_ros.files import write_whole

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; margin: 0 auto; max-width: 1200px;
  padding: 2rem 1.5rem 4rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .2rem; }
p { color: #4a5464; max-width: 80ch; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.tile { flex: 1 1 300px; border: 1px solid #e3e7ec; border-radius: 10px; padding: .7rem 1rem; }
.tile b { display: block; font-size: 1.45rem; } .tile span { color: #6a7484; }
table { border-collapse: collapse; width: 100%; font-size: 13px;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .5rem; border-bottom: 1px solid #e3e7ec; }
th:nth-child(-n+4), td:nth-child(-n+4) { text-align: left; }
.scenes th:nth-child(7), .scenes td:nth-child(7) { text-align: left; }
tr.ours { font-weight: 600; background: #f0faf6; } td.late { color: #d55e00; }
"""


def write_page(
    rows: Sequence[dict[str, Any]],
    summary: dict[str, Any],
    settings: dict[str, Any],
    path: str | Path,
) -> None:
    """Write the page; it needs no network."""
    body = [
        '<h1>E4 against the governors</h1>',
        f'<p>{_INTRO}</p><p>{_MEMORY}</p>',
        f'<p>{_how(settings)}</p>',
        _tiles(summary),
        '<h2>Where the energy goes</h2>',
        f'<p>{_SPLIT.format(**summary)}</p>',
        _drawn(split_figure(rows, summary), first=True),
        '<h2>Scene by scene</h2>',
        _scenes(summary),
    ]
    for backbone, workload in _groups(rows):
        chosen = [r for r in rows if (r['backbone'], r['workload']) == (backbone, workload)]
        body += [f'<h2>{html.escape(backbone)}, {workload}</h2>', _drawn(policy_figure(chosen))]
    body.append('<h2>Every figure</h2>' + _table(rows))
    text = '\n'.join(body)
    write_whole(
        path,
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>E4 against the governors'
        f'</title><style>{_STYLE}</style><body>{text}</body></html>',
    )


_INTRO = (
    'Modelled boards, played on a timeline. Energy is all that the board draws, pauses included, '
    'over the frames. Governors, learning governors (ztt, ring_dvfs_like) and fixed_pair run the '
    'whole network on every frame; the others leave it where a real stream did. e4_published '
    'plans as if clocks changed at once and pays when played; e4_ideal lives in that world.'
)
_MEMORY = (
    'E4 and fixed_pair (one point for everything) choose the memory clock too; e4_emc_top leaves '
    'it at its top. Under a governor the memory scales by itself, as on a stock Jetson, or stays '
    'at its top (@emc_top), whichever is better for the governor; a learning governor moves CPU '
    'and GPU, as published. A governor is a rival where it is late no more often than E4.'
)
_SPLIT = (
    'Of the joules that E4 spends, {idle_share_percent:.0f} % are drawn by the board while it '
    'waits at its lowest clocks: no exit and no plan changes them. Had the '
    'network cost nothing at all, {bound_percent:.1f} % would have been saved; E4 saves '
    '{saving_vs_best_governor_percent:.1f} %. The bars show both for each scene, beside the best '
    'governor that is late no more often.'
)
_TILES = (
    ('saving_vs_best_governor_percent', 'less energy than the best governor in time, of any kind'),
    ('from_clocks_percent', 'of that from clocks, on the whole network'),
    ('from_exits_percent', 'of that from exits on top'),
    ('bound_percent', 'the most that anything could save here'),
    ('saving_vs_best_kernel_governor_percent', 'less than the best kernel governor in time'),
    ('saving_with_emc_at_top_percent', 'less, had E4 left the memory clock at its top'),
    ('saving_above_idle_percent', 'less, counting only what perception adds to the idle board'),
)


def _how(settings: dict[str, Any]) -> str:
    exits = '; '.join(
        f'{e["backbone"]}: '
        + ', '.join(f'{100 * share:.0f} % {name}' for name, share in e['shares'].items())
        + f' (agreement {e["agreement"]:.3f})'
        for e in settings['exits']
    )
    learned = settings['train_frames']
    budget = f'each learned on {learned} frames' if learned else 'left out'
    return html.escape(
        f'{settings["frames"]} frames left the networks as recorded ({settings["source"]}). '
        f'{exits}. '
        f'Learning governors: {budget}.'
    )


def _tiles(summary: dict[str, Any]) -> str:
    tiles = ''.join(
        f'<div class="tile"><b>{summary[key]:.1f} %</b><span>{text}</span></div>'
        for key, text in _TILES
    )
    return f'<div class="tiles">{tiles}</div>'


def _drawn(figure: go.Figure, first: bool = False) -> str:
    config = {'displayModeBar': False, 'responsive': True}
    return figure.to_html(full_html=False, include_plotlyjs=first, config=config)


def _scenes(summary: dict[str, Any]) -> str:
    head = ('board', 'backbone', 'workload', 'best governor in time', 'E4 saves',
            'at most possible', 'best kernel governor', 'E4 saves', 'a fixed pair')  # fmt: skip
    lines = ['<table class="scenes"><tr>' + ''.join(f'<th>{h}</th>' for h in head) + '</tr>']
    for s in summary['scenes']:
        texts = [s['board'], s['backbone'], s['workload'], s['rival']]
        texts += [f'{s[key]:.1f} %' for key in ('saving_percent', 'bound_percent')]
        texts += [s['kernel_rival'], f'{s["kernel_saving_percent"]:.1f} %']
        texts.append('ties or wins' if s['fixed_pair_wins'] else 'loses')
        lines.append('<tr>' + ''.join(f'<td>{html.escape(text)}</td>' for text in texts) + '</tr>')
    return ''.join(lines) + '</table>'


def _groups(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((r['backbone'], r['workload']) for r in rows))


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
