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

"""The page of a comparison: self-contained HTML that opens anywhere, without a network."""

from __future__ import annotations

import html
import json
from datetime import datetime
from pathlib import Path
from string import Template

from e4_ros.evaluation.comparison import charts, words
from e4_ros.evaluation.comparison.intervals import Interval
from e4_ros.evaluation.comparison.result import ArmResult, Result
from e4_ros.evaluation.report.report import page_part
from e4_ros.files import write_whole
from e4_ros.perception.palette import exit_colors, joules


def write_page(found: Result, path: Path) -> None:
    """Write the page."""
    from plotly.offline import get_plotlyjs

    facts = found.facts
    page = Template(page_part('comparison.html')).substitute(
        title=html.escape(f'{facts.model} on {facts.board}, {facts.source}'),
        headline=_headline(found),
        subtitle=_subtitle(found),
        tiles=_tiles(found),
        problems=_problems(found),
        ways={2: 'two', 4: 'four'}.get(len(found.arms), ''),
        arms=_arms(found),
        exits=_exits(found),
        notes=''.join(f'<li>{html.escape(note)}</li>' for note in words.notes(found)),
        figures=json.dumps(charts.all_figures(found)).replace('</', '<\\/'),
        plotly=get_plotlyjs(),
        style=page_part('page.css'),
        script=page_part('page.js'),
    )
    write_whole(path, page)


def _headline(found: Result) -> str:
    """The result in a sentence, with what is saved in bold."""
    text = html.escape(words.sentence(found))
    saved = found.best.saved
    if not found.facts.measured or saved is None:
        return text
    told = words.share(saved)
    return text.replace(told, f'<b>{told}</b>', 1)


def _subtitle(found: Result) -> str:
    facts = found.facts
    rails = ', '.join(f'{name} {watts:.2f} W' for name, watts in facts.rails.items())
    items = {
        'board': f'{facts.board} (virtual)' if facts.virtual else facts.board,
        'machine': facts.machine,
        'power mode': facts.power_mode,
        'device': facts.device,
        'camera': f'{1 / facts.period_s:.3g} frames a second',
        'meter': words.meter_name(facts.meter) if facts.meter else 'none',
        'rails before': rails,
    }
    spans = [f'<span>{k} <b>{html.escape(v)}</b></span>' for k, v in items.items() if v]
    spans.append(f'<span>{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}</span>')
    return ''.join(spans)


def _tiles(found: Result) -> str:
    best, stock, facts = found.best, found.stock, found.facts
    kind = 'measured' if facts.measured else 'modelled'
    badge = f'<em class="badge {kind}">{kind}</em>'
    tiles = []
    if best.energy_j is not None and stock.energy_j is not None and best.saved_w is not None:
        number, unit = joules(best.energy_j.value).split(' ')
        tiles.append(
            (
                f'Energy a frame {badge}',
                f'{number}<small> {unit}</small>',
                f'stock {joules(stock.energy_j.value)}',
            )
        )
        name = 'Power less than stock'
        if facts.measured:
            tiles.append(
                (name, f'{best.saved_w.value:.2f}<small> W</small>', _between(best.saved_w))
            )
    if found.idle_w is not None:
        tiles.append(
            ('The waiting board', f'{found.idle_w:.2f}<small> W</small>', 'before the first round')
        )
    tiles.append(
        (
            'Late frames',
            f'{100 * best.late.value:.1f}<small> %</small>',
            f'stock {words.percent(stock.late.value)}; later than {1e3 * facts.deadline_s:.0f} ms',
        )
    )
    if best.agreement is not None:
        tiles.append(
            (
                'Agreement with the full network',
                f'{best.agreement.value:.3f}',
                f'how alike, not how good; {_between(best.agreement, "{:.3f}")}',
            )
        )
    if found.runtime is not None:
        gained = found.runtime.gained_minutes
        tiles.append(
            (
                f'On {found.runtime.battery.full_wh:.3g} Wh',
                f'{gained.value:+.0f}<small> min</small>',
                f'of {words.clock(found.runtime.stock_minutes)} at {found.runtime.draw_w:.3g} W',
            )
        )
    return ''.join(
        f'<div class="tile"><h3>{name}</h3><p>{value}</p><span>{note}</span></div>'
        for name, value, note in tiles
    )


def _problems(found: Result) -> str:
    said = [f'Repeated: {text}' for text in found.measured.repeated]
    if found.facts.no_clocks:
        said.append(f'Clocks were left alone: {found.facts.no_clocks}')
    if found.measured.ended:
        said.append(f'Ended early: {found.measured.ended}')
    if not said:
        return ''
    rows = ''.join(f'<li>{html.escape(text)}</li>' for text in said)
    return f'<section class="problems"><h2>What went wrong</h2><ul>{rows}</ul></section>'


def _arms(found: Result) -> str:
    exact = any(arm.exact is not None for arm in found.arms)
    headings = ['', 'mJ a frame', 'W', 'less than stock', 'late', 'answered after', 'agreement']
    headings += ['exact'] if exact else []
    rows = [''.join(f'<th>{heading}</th>' for heading in headings)]
    for arm in found.arms:
        cells = _cells(arm, found.facts.measured) + ([_exact(arm)] if exact else [])
        color = charts.COLORS[arm.arm.name]
        name = f'<i style="background:{color}"></i>{arm.arm.name}<small>{arm.arm.title}</small>'
        rows.append(f'<td>{name}</td>' + ''.join(f'<td>{cell}</td>' for cell in cells))
    return '<table class="arms">' + ''.join(f'<tr>{row}</tr>' for row in rows) + '</table>'


def _cells(arm: ArmResult, measured: bool) -> list[str]:
    less = '' if arm.saved is None else ('not measured' if not measured else _percent(arm.saved))
    return [
        _cell(None if arm.energy_j is None else arm.energy_j.scaled(1e3), '{:.1f}'),
        _cell(arm.power_w, '{:.3f}'),
        less,
        _percent(arm.late),
        f'{1e3 * arm.latency_s:.1f} ms',
        _cell(arm.agreement, '{:.3f}') if arm.agreement else '',
    ]


def _percent(found: Interval) -> str:
    return _cell(found.scaled(100), '{:.1f} %')


def _cell(found: Interval | None, form: str) -> str:
    if found is None:
        return 'n/a'
    return f'{form.format(found.value)}<small>{_between(found, form)}</small>'


def _between(found: Interval, form: str = '{:.2f}') -> str:
    if found.low is None or found.high is None:
        return 'too short for an interval'
    return f'{form.format(found.low)} to {form.format(found.high)}'


def _exact(arm: ArmResult) -> str:
    return '' if arm.exact is None else words.percent(arm.exact)


def _exits(found: Result) -> str:
    names = list(dict.fromkeys(name for arm in found.arms for name in arm.exits))
    colors = exit_colors(names)
    rows = []
    for arm in found.arms:
        parts = ''.join(
            f'<i style="width:{share:.2%};background:{colors[name]}"></i>'
            for name, share in sorted(arm.exits.items(), key=lambda one: names.index(one[0]))
        )
        rows.append(f'<span>{arm.arm.name}</span><div class="bar">{parts}</div>')
    legend = ''.join(
        f'<span><i style="background:{colors[name]}"></i>{html.escape(name)}</span>'
        for name in names
    )
    return f'<div class="answered">{"".join(rows)}</div><div class="legend">{legend}</div>'
