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

"""One self-contained page of a profile: where the plan lies, and what it was held against."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go

from e4_ros.files import write_whole
from e4_ros.profiling.profile import PLAN, Profile
from e4_ros.profiling.report import figures

_STYLE = """
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #1c2430; }
body { margin: 0 auto; max-width: 1120px; padding: 2rem 1.5rem 4rem; background: #fff; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .2rem; }
p { margin: .2rem 0 .6rem; color: #4a5464; max-width: 75ch; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.4rem 0; }
.tile { flex: 1 1 130px; border: 1px solid #e3e7ec; border-radius: 10px; padding: .7rem 1rem; }
.tile b { display: block; font-size: 1.45rem; font-weight: 600; } .tile span { color: #6a7484; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .6rem; border-bottom: 1px solid #e3e7ec; }
th:first-child, td:first-child { text-align: left; }
.best { font-weight: 600; }
ul { color: #4a5464; max-width: 75ch; padding-left: 1.2rem; }
section { margin-top: 2.2rem; } section h2 { margin-top: 0; }
"""


def write_page(profile: Profile, path: str | Path) -> None:
    """Write the page; it needs no network."""
    write_whole(path, _page(profile))


def _page(profile: Profile) -> str:
    table = profile.problem.table
    title = f'{html.escape(table.model)} on {html.escape(table.board)}'
    body = [f'<h1>{title}</h1>', _intro(profile), _tiles(profile), _table(profile)]
    for number, (heading, text, figure) in enumerate(_sections(profile)):
        picture = figure.to_html(
            full_html=False,
            include_plotlyjs=number == 0,
            config={'displayModeBar': False, 'responsive': True},
        )
        body.append(f'<section><h2>{heading}</h2><p>{text}</p>{picture}</section>')
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<title>{title}</title><style>{_STYLE}</style><body>' + '\n'.join(body) + '</body></html>'
    )


def _sections(profile: Profile) -> Iterator[tuple[str, str, go.Figure]]:
    yield (
        'Energy against latency',
        'Each grey point is one operating point for the whole frame. Down is cheaper, left is '
        'faster; the plan may lie below their front because its segments have clocks of their own.',
        figures.front(profile),
    )
    yield (
        'Clocks along the slowest path',
        'What the plan asks for as the segments go by. A change takes effect later, and the plan '
        'has paid for that; dotted is what it would ask for if switching cost nothing.',
        figures.strip(profile),
    )
    yield (
        'The descent',
        'Every plan that was the best so far, in the order in which coordinate descent found them.',
        figures.descent(profile),
    )
    if profile.guesses:
        yield 'What depends on guesses', _guesses_text(profile), figures.guesses(profile)


def _intro(profile: Profile) -> str:
    total = sum(profile.exit_shares.values())
    shares = ', '.join(f'{html.escape(e)} {s / total:.0%}' for e, s in profile.exit_shares.items())
    notes = [f'Exits: {shares}. Clocked: {", ".join(profile.problem.table.domains)}.']
    if len(set(profile.best.points.tolist())) == 1:
        notes.append(
            'One operating point for the whole frame is best here: switching inside the frame '
            'costs more than it saves.'
        )
    notes += [html.escape(note) for note in profile.notes]
    return '<ul>' + ''.join(f'<li>{note}</li>' for note in notes) + '</ul>'


def _tiles(profile: Profile) -> str:
    problem, best = profile.problem, profile.best
    saved = 100 * (1 - best.energy_j / profile.default[1])
    tiles = [
        (f'{1e3 * best.energy_j:.2f} mJ', f'expected energy a frame, {problem.table.source}'),
        (f'{saved:.1f} %', f'less than {profile.default_name}'),
        (f'{1e3 * best.latency_s:.1f} ms', f'slowest path; {1e3 * problem.deadline_s:.1f} allowed'),
    ]
    if profile.exact is not None:
        tiles.append((f'{max(profile.gap_percent, 0.0):.2f} %', 'above the exact optimum'))
    tiles += [
        (f'{100 * profile.descent.cells_share:.0f} %', 'of the cells looked at'),
        (f'{1e3 * profile.plan_s:.0f} ms', 'to find the plan'),
    ]
    boxes = (f'<div class="tile"><b>{value}</b><span>{text}</span></div>' for value, text in tiles)
    return f'<div class="tiles">{"".join(boxes)}</div>'


def _table(profile: Profile) -> str:
    lines = [
        f'<tr{" class=best" if name == PLAN else ""}><td>{name}</td>'
        f'<td>{1e3 * latency_s:.2f} ms</td><td>{1e3 * energy_j:.3f} mJ</td>'
        f'<td>{100 * (energy_j / profile.default[1] - 1):+.1f} %</td></tr>'
        for name, latency_s, energy_j in profile.comparison()
    ]
    return (
        '<table><tr><th></th><th>slowest path</th><th>expected energy</th><th>change</th></tr>'
        + ''.join(lines)
        + '</table>'
    )


def _guesses_text(profile: Profile) -> str:
    savings = [c.saving_percent for c in profile.guesses]
    losses = [c.fixed_loses_percent for c in profile.guesses]
    switching = (
        f'The best fixed point costs {min(losses):.1f} to {max(losses):.1f} % more than the plan.'
        if max(losses) > 0.05
        else 'The best fixed point is as good as the plan throughout.'
    )
    return (
        'Most numbers of a board file are assumed (docs/boards.md). Each was changed alone, and '
        f'the plan made anew: it saves {min(savings):.0f} to {max(savings):.0f} % in every case. '
        + switching
    )
