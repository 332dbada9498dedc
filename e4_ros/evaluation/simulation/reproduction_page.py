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

"""One self-contained page of `e4 reproduce`: who spends what, and who is late."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from e4_ros.evaluation.simulation.reproduction_figures import (
    in_words,
    paces_figure,
    policy_figure,
    steps_figure,
)
from e4_ros.evaluation.simulation.reproduction_summary import IN_TIME_PERCENT
from e4_ros.evaluation.simulation.reproduction_table import savings_rows
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
table.savings th:nth-child(1), table.savings td:nth-child(1), .dropped td:nth-child(1),
.dropped th:nth-child(1), .every th:nth-child(-n+5), .every td:nth-child(-n+5),
.scenes th:nth-child(-n+5), .scenes td:nth-child(-n+5) { text-align: left; }
.savings td { white-space: pre; }
"""


def write_page(
    rows: Sequence[dict[str, Any]],
    paces: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    path: str | Path,
) -> None:
    """Write the page; it needs no network.

    Args:
        rows: of all paces.
        paces: ``pace`` and ``summary`` of each, the first being the one that is shown in detail.
        settings: how they were made.
        path: file to write.
    """
    first, summary = paces[0]['pace'], paces[0]['summary']
    shown = [row for row in rows if row['pace'] == first]
    body = [
        '<h1>E4 against the governors</h1>',
        f'<p>{_INTRO}</p><p>{html.escape(_how(settings))}</p>',
        _tiles(summary),
        f'<p>{_lateness(summary)}</p>',
        '<h2>By the time between frames</h2>',
        f'<p>{_PACES}</p>',
        _drawn(paces_figure(paces), first=True),
        _table('savings', *savings_rows(paces)),
        f'<h2>From stock governors to E4, a frame every {first:g}× the fastest latency</h2>',
        f'<p>{_STEPS.format(**summary)}</p>',
        _drawn(steps_figure(shown, summary)),
        '<h2>Scene by scene</h2>',
        _scenes(summary),
        '<h2>Dropped for lateness</h2>',
        f'<p>{_DROPPED}</p>',
        _dropped(summary),
    ]
    for backbone, workload in dict.fromkeys((r['backbone'], r['workload']) for r in shown):
        chosen = [r for r in shown if (r['backbone'], r['workload']) == (backbone, workload)]
        title = html.escape(f'{backbone}, {workload}')
        body += [f'<h2>{title}</h2><p>{_POLICIES}</p>', _drawn(policy_figure(chosen))]
    body.append('<h2>Every figure</h2>' + _every(rows))
    text = '\n'.join(body)
    write_whole(
        path,
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>E4 against the governors'
        f'</title><style>{_STYLE}</style><body>{text}</body></html>',
    )


_INTRO = (
    'Modelled boards, played on a timeline: no joule here was measured. Energy is all that a board '
    'draws, pauses included, over the frames. Whoever has exits has the same ones, as a real '
    'stream left the networks, tracker and all, and so the same quality. Everybody may set the '
    "memory's clock: a kernel governor leaves it to the board or pins it at the top, whichever is "
    'better for it; learning governors have CPU and GPU as published, and with the exits the '
    'memory as well.'
)
_PACES = (
    'Means over scenes, with 95 % intervals by bootstrap over scenes and their streams. They say '
    'how far the figure hangs on which scenes and streams were played, and not how right the '
    'boards are modelled. Missing paces were not played.'
)
_STEPS = (
    'Pale: what the board draws while it waits at its lowest clocks, {idle_share_percent:.0f} % of '
    'what E4 draws; no exit and no plan changes it. A network that cost nothing would save '
    '{bound_percent:.1f} %. Whiskers: lowest and highest of the streams. A bar of the stock '
    'governors below the best rival is one whose frames come late.'
)
_DROPPED = (
    f'A rival is in time where at most {IN_TIME_PERCENT:g} % of its frames are late (or as many as '
    'under E4). These were not; here is what they drew in the scenes in which they were late. '
    'Below 100 %, they drew less than E4.'
)
_POLICIES = (
    'Bars: mean of the boards; dots: boards. Pale: frames come late. Bars that go on to the right '
    'of the frame are cut, their figure is written in them. Blind to switch delays: planned as if '
    'clocks changed at once, and played as they do.'
)
_TILES = (
    ('saving_vs_best_with_exits_percent', 'less than the best of any kind with the same exits'),
    ('saving_vs_fixed_point_with_exits_percent', 'less than the best fixed point with the same '
     'exits: what clocks of each segment bring'),
    ('saving_vs_best_governor_percent', 'less than the best of any kind on the whole network'),
    ('from_clocks_percent', 'of that: one better point of CPU, GPU and memory'),
    ('from_exits_percent', 'of that: exits'),
    ('saving_vs_stock_percent', 'less than the stock governors, as a board is shipped'),
    ('saving_vs_any_lateness_percent', 'less than the cheapest on the whole network, however '
     'late its frames'),
)  # fmt: skip


def _how(settings: dict[str, Any]) -> str:
    exits = '; '.join(
        f'{e["backbone"]}: '
        + ', '.join(f'{100 * share:.0f} % {name}' for name, share in e['shares'].items())
        + f' (agreement with the full network {e["agreement"]:.3f})'
        for e in settings['exits']
    )
    learned = settings['train_frames']
    budget = f'each learned on {learned} frames, at the first pace' if learned else 'left out'
    modes = ', '.join(f'{board} {mode or "(none)"}' for board, mode in settings['modes'].items())
    return (
        f'{settings["frames"]} frames left the networks as recorded ({settings["source"]}). '
        f'{exits}. Streams: {settings["streams"]} of each scene at the first pace, '
        f'{settings["sweep_streams"]} at the others. Power modes: {modes}. '
        f'Learning governors: {budget}. All this took {settings["seconds"] / 60:.1f} minutes.'
    )


def _lateness(summary: dict[str, Any]) -> str:
    scenes = summary['scenes']
    stock = sum(s['stock_late_percent'] for s in scenes) / len(scenes)
    fixed = len(summary['fixed_point_is_the_plan'])
    return (
        f'Under the stock governors {stock:.1f} % of the frames come late. In {fixed} of '
        f'{len(scenes)} scenes clocks of each segment would not pay, and the plan is the fixed '
        f'point; there E4 and the fixed point with exits are one.'
    )


def _tiles(summary: dict[str, Any]) -> str:
    tiles = []
    for key, text in _TILES:
        low, high = summary['intervals'][key]
        tiles.append(
            f'<div class="tile"><b>{summary[key]:.1f} %</b>'
            f'<span>({low:.1f} to {high:.1f}) {text}</span></div>'
        )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _drawn(figure: go.Figure, first: bool = False) -> str:
    config = {'displayModeBar': False, 'responsive': True}
    return figure.to_html(full_html=False, include_plotlyjs=first, config=config)


def _scenes(summary: dict[str, Any]) -> str:
    heads = ['board', 'power mode', 'network', 'workload', 'best rival in time', 'E4 draws less',
             'at most possible', 'than one point with exits', 'the plan is']  # fmt: skip
    rows = [
        [
            *(s[key] for key in ('board', 'power_mode', 'backbone', 'workload')),
            in_words(s['rivals']['best']),
            f'{s["saving_vs_best_governor_percent"]:.1f} %',
            f'{s["bound_percent"]:.1f} %',
            f'{s["saving_vs_fixed_point_with_exits_percent"]:.1f} %',
            'clocks of each segment' if s['clocks_per_segment'] else 'one point',
        ]
        for s in summary['scenes']
    ]
    return _table('scenes', heads, rows)


def _dropped(summary: dict[str, Any]) -> str:
    heads = ['rival', 'dropped in scenes', 'frames late there', 'energy there, % of E4']
    rows = [
        [
            in_words(d['policy']),
            f'{d["scenes"]} of {d["of"]}',
            f'{d["late_percent"]:.1f} %',
            f'{d["energy_percent_of_e4"]:.1f} %',
        ]
        for d in summary['dropped']
    ]
    return _table('dropped', heads, rows)


def _every(rows: Sequence[dict[str, Any]]) -> str:
    heads = ['board', 'network', 'workload', 'policy', 'its name in the JSON', 'pace', 'mJ a frame',
             'above idle', 'p50 ms', 'p99 ms', 'late', 'agreement']  # fmt: skip
    lines = [
        [
            *(r[key] for key in ('board', 'backbone', 'workload')),
            in_words(r['policy']),
            r['policy'],
            f'{r["pace"]:g}×',
            f'{1e3 * r["energy_j_per_frame"]:.2f}',
            f'{1e3 * r["above_idle_j_per_frame"]:.2f}',
            f'{r["latency_ms"]["p50"]:.2f}',
            f'{r["latency_ms"]["p99"]:.2f}',
            f'{r["deadline_miss_percent"]:.1f} %',
            f'{r["agreement"]:.3f}',
        ]
        for r in rows
    ]
    return f'<details><summary>{len(rows)} rows</summary>{_table("every", heads, lines)}</details>'


def _table(kind: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return '<tr>' + ''.join(f'<{tag}>{html.escape(c)}</{tag}>' for c in cells) + '</tr>'

    body = ''.join(line(row, 'td') for row in rows)
    return f'<table class="{kind}">{line(heads, "th")}{body}</table>'
