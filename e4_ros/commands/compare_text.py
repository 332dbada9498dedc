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

"""What `e4 compare` says at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from e4_ros.evaluation.comparison.intervals import Interval
    from e4_ros.evaluation.comparison.result import ArmResult, Result


def show(console: Console, found: Result) -> None:
    """Print the arms, the machine, and the result in a sentence."""
    from e4_ros.evaluation.comparison import words

    console.print(_table(found))
    for note in _facts(found):
        console.print(note, style='dim', markup=False, highlight=False, soft_wrap=True)
    console.print(words.sentence(found), style='bold', markup=False, soft_wrap=True)
    if found.runtime is not None:
        console.print(words.battery_sentence(found.runtime), markup=False, soft_wrap=True)


def _table(found: Result) -> Table:
    facts = found.facts
    source = ' (modelled)' if facts.meter and not facts.measured else ''
    title = f'{facts.model} on {facts.board}, {facts.source} at {1 / facts.period_s:.3g} a second'
    table = Table(title=title, title_justify='left', box=None)
    exact = any(arm.exact is not None for arm in found.arms)
    headings = ['', f'J a frame{source}', f'W{source}', 'less than stock', 'late', 'agreement']
    for heading in [*headings, *(['exact'] if exact else [])]:
        table.add_column(heading, justify='right' if heading else 'left')
    for arm in found.arms:
        row = [arm.arm.name, _joules(arm), _watts(arm), _share(arm.saved, facts.measured)]
        row += [_percent(arm.late), _plain(arm.agreement)]
        table.add_row(*row, *([_exact(arm)] if exact else []))
    return table


def _facts(found: Result) -> list[str]:
    facts = found.facts
    rails = ', '.join(f'{name} {watts:.2f} W' for name, watts in facts.rails.items())
    heat = [c for block in found.measured.blocks for c in block.after_c.values()]
    said = []
    if facts.meter:
        said.append(f'meter: {facts.meter}{", " if rails else ""}{rails}')
    if found.idle_w is not None:
        said.append(f'the waiting board: {found.idle_w:.2f} W')
    if facts.power_mode:
        said.append(f'power mode: {facts.power_mode}')
    if heat:
        said.append(f'hottest zone after a block: {max(heat):.0f} °C')
    if facts.no_clocks:
        said.append(f'clocks were left alone: {facts.no_clocks}')
    if found.measured.ended:
        said.append(f'ended early: {found.measured.ended}')
    said.append(f'{found.rounds} rounds of blocks of {found.plan.block_s:.1f} s; intervals: 95 %')
    return said + list(found.facts.notes)


def _joules(arm: ArmResult) -> str:
    return 'n/a' if arm.energy_j is None else _span(arm.energy_j, '.4f')


def _watts(arm: ArmResult) -> str:
    return 'n/a' if arm.power_w is None else _span(arm.power_w, '.3f')


def _share(found: Interval | None, measured: bool) -> str:
    if found is None:
        return ''
    if not measured:
        return 'not measured'
    return _span(found.scaled(100), '.1f') + ' %'


def _percent(found: Interval) -> str:
    return f'{100 * found.value:.1f} %'


def _plain(found: Interval | None) -> str:
    return '' if found is None else _span(found, '.3f')


def _exact(arm: ArmResult) -> str:
    return '' if arm.exact is None else f'{100 * arm.exact:.1f} %'


def _span(found: Interval, form: str) -> str:
    if found.low is None or found.high is None:
        return f'{found.value:{form}}'
    return f'{found.value:{form}} ({found.low:{form}}–{found.high:{form}})'
