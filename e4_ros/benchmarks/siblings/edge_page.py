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

"""The page of `make demo-edge`: where frames were answered while link and server came and went."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from string import Template

from e4_ros.benchmarks.siblings import edge_figures
from e4_ros.benchmarks.siblings.edge_show import ALONE, WITH, Show
from e4_ros.evaluation.report.report import page_part
from e4_ros.files import write_whole
from e4_ros.perception.palette import joules

_MODELLED = '<em class="badge modelled">modelled</em>'


def write_edge_page(show: Show, path: Path) -> None:
    """Write the page: one file that needs nothing besides."""
    from plotly.offline import get_plotlyjs

    figures = {'story': json.loads(edge_figures.story(show).to_json())}
    page = Template(page_part('edge.html')).substitute(
        title=html.escape(f'A robot and an edge server, {show.film.name}'),
        headline=_headline(show),
        subtitle=_facts(show),
        tiles=_tiles(show),
        marks=_marks(show),
        totals=_totals(show),
        notes=''.join(f'<li>{html.escape(note)}</li>' for note in show.notes),
        figures=json.dumps(figures).replace('</', '<\\/'),
        plotly=get_plotlyjs(),
        style=page_part('page.css'),
        script=page_part('page.js'),
    )
    write_whole(path, page)


def headline(show: Show) -> str:
    """The demonstration in one sentence."""
    totals = show.totals()
    own, alone = totals[WITH], totals[ALONE]
    late = 'No frame' if not own['late'] else f'{own["late"]} of {own["answered"]} frames'
    text = f'{late} later than {show.deadline_s * 1e3:.0f} ms while link and server came and went'
    if not (math.isnan(own['f1']) or math.isnan(alone['f1'])):
        text += f'; F1 by {show.judged_by} {own["f1"]:.3f}, alone {alone["f1"]:.3f}'
    return text


def _headline(show: Show) -> str:
    words = html.escape(headline(show))
    late, _, rest = words.partition(' later than')
    return f'<b>{late}</b> later than{rest}'


def _facts(show: Show) -> str:
    spans = [f'<span>{k} <b>{html.escape(v)}</b></span>' for k, v in show.facts.items() if v]
    spans.append(f'<span>{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}</span>')
    return ''.join(spans)


def _marks(show: Show) -> str:
    """The numbered lines of the picture, in words."""
    later = [h for h in show.happenings if h.at_s - show.began_s > edge_figures.FIRST_S]
    return ''.join(
        f'<li><b>{h.at_s - show.began_s:.0f} s</b> {html.escape(h.words)}</li>' for h in later
    )


def _tiles(show: Show) -> str:
    totals = show.totals()
    own, alone = totals[WITH], totals[ALONE]
    tiles = [
        (
            'Late frames',
            f'{own["late"]}<small> of {own["answered"]}</small>',
            f'longest {own["max_ms"]:.0f} ms, deadline {show.deadline_s * 1e3:.0f} ms',
        ),
        (
            'Answers from the server in time',
            f'{own["answers_in_time"]}<small> of {own["requests"]} requests</small>',
            f'{own["sent_kb"]:.0f} kB sent',
        ),
        (
            f'Energy a frame {_MODELLED}',
            joules(own['board_j_a_frame'] + own['radio_j_a_frame']),
            f'of which radio {joules(own["radio_j_a_frame"])}; alone '
            f'{joules(alone["board_j_a_frame"])}',
        ),
        (
            f'F1 by {show.judged_by}',
            _number(own['f1'], '.3f'),
            f'alone {_number(alone["f1"], ".3f")}',
        ),
    ]
    return ''.join(
        f'<div class="tile"><h3>{name}</h3><p>{value}</p><span>{note}</span></div>'
        for name, value, note in tiles
    )


_ROWS = (
    ('frames that the camera handed over', 'received', '.0f'),
    ('answered', 'answered', '.0f'),
    ('replaced by a newer one before their turn', 'dropped', '.0f'),
    ('later than the deadline and 5 ms', 'late', '.0f'),
    ('latency, half of them below, ms', 'p50_ms', '.1f'),
    ('latency, 99 of 100 below, ms', 'p99_ms', '.1f'),
    ('longest latency, ms', 'max_ms', '.1f'),
    ('answered by the server at once', 'on_the_edge', '.0f'),
    ('requests to the server', 'requests', '.0f'),
    ('of these answered in time', 'answers_in_time', '.0f'),
    ('sent, kB', 'sent_kb', '.0f'),
    ('board, mJ a frame, modelled', 'board_j_a_frame', 'mJ'),
    ('radio, mJ a frame, modelled', 'radio_j_a_frame', 'mJ'),
    ('F1', 'f1', '.3f'),
)


def table_rows(show: Show) -> list[tuple[str, list[str]]]:
    """The totals for page and terminal: what, and its value for each drive."""
    totals = show.totals()
    return [
        (
            f'F1 by {show.judged_by}' if key == 'f1' else what,
            [_number(totals[name][key], kind) for name in show.drives],
        )
        for what, key, kind in _ROWS
    ]


def _totals(show: Show) -> str:
    heads = ''.join(f'<th>{html.escape(name)}</th>' for name in show.drives)
    rows = [f'<th></th>{heads}']
    rows += [f'<td>{what}</td>{_cells(values)}' for what, values in table_rows(show)]
    return '<table class="totals">' + ''.join(f'<tr>{row}</tr>' for row in rows) + '</table>'


def _cells(values: Sequence[str]) -> str:
    return ''.join(f'<td>{value}</td>' for value in values)


def _number(value: float, kind: str) -> str:
    if math.isnan(value):
        return '–'
    return f'{value * 1e3:.1f}' if kind == 'mJ' else f'{value:{kind}}'
