#!/usr/bin/env python3
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

"""Put the figures of `e4 reproduce` into docs: tables between marks.

Usage: python scripts/reproduce_tables.py out/reproduce/reproduce.json

A table stands between ``<!-- reproduce: NAME -->`` and ``<!-- end -->`` in README.md and docs/*.md,
what fits into a line between the same marks in it; what is between them is replaced.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from e4_ros.evaluation.simulation.reproduction_figures import in_words
from e4_ros.evaluation.simulation.reproduction_table import policy_rows, savings_rows

ROOT = Path(__file__).resolve().parents[1]
Result = Mapping[str, Any]


def savings(result: Result) -> str:
    """One row a figure, one column a pace."""
    return table(*savings_rows(result['paces']))


def policies(result: Result) -> str:
    """One row a policy, at the first pace."""
    first = [row for row in result['rows'] if row['pace'] == result['paces'][0]['pace']]
    rows = [[in_words(name), *figures] for name, *figures in policy_rows(first)]
    heads = ['policy', 'energy, of all clocks at the top', 'late frames', 'agreement']
    return table(heads, rows)


def dropped(result: Result) -> str:
    """Rivals that were late, at the first pace."""
    heads = ['rival', 'dropped in scenes', 'frames late there', 'energy there, of E4']
    rows = [
        [
            in_words(line['policy']),
            f'{line["scenes"]} of {line["of"]}',
            f'{line["late_percent"]:.1f} %',
            f'{line["energy_percent_of_e4"]:.0f} %',
        ]
        for line in result['paces'][0]['summary']['dropped']
    ]
    return table(heads, rows)


def how(result: Result) -> str:
    """What was played, and how long it took."""
    about = result['settings']
    learned = about['train_frames']
    learning = f'learned on {learned:,} frames each' if learned else 'were left out'
    modes = ', '.join(f'{board} {mode or "(none)"}' for board, mode in about['modes'].items())
    first = about['streams']
    return (
        f'Boards and power modes: {modes}. Streams of {about["frames"]} frames: {first} of each '
        f'scene at the first pace, {about["sweep_streams"]} at the others; learning governors '
        f'{learning}. It took {about["seconds"] / 60:.0f} minutes.'
    )


def headline(result: Result) -> str:
    """The figures that matter, in a line."""
    first, last = result['paces'][0], result['paces'][-1]

    def said(of: Mapping[str, Any], key: str) -> str:
        low, high = of['summary']['intervals'][key]
        return f'{of["summary"][key]:.1f} % ({low:.1f} to {high:.1f})'

    equal, any_kind = 'saving_vs_best_with_exits_percent', 'saving_vs_best_governor_percent'
    learning = 'included' if result['settings']['train_frames'] else 'left out'
    return (
        f'modelled boards in their shipped modes, a frame every {first["pace"]:g}× the fastest '
        f'latency: {said(first, any_kind)} less energy than the best governor in time on the '
        f'whole network, learning ones {learning}; {said(first, equal)} less than the best of any '
        f'kind with the same exits, at {last["pace"]:g}× {said(last, equal)}'
    )


TABLES: dict[str, Callable[[Result], str]] = {
    'savings': savings,
    'policies': policies,
    'dropped': dropped,
    'how': how,
    'headline': headline,
}
"""Name between the marks → its text."""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ['---', *['---:'] * (len(heads) - 1)], *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def filled(text: str, result: Result) -> str:
    """The text with every table."""

    def put(found: re.Match[str]) -> str:
        name, space = found[1], found[2]
        return f'<!-- reproduce: {name} -->{space}{TABLES[name](result)}{space}<!-- end -->'

    return re.sub(r'<!-- reproduce: ([a-z]+) -->(\s?).*?<!-- end -->', put, text, flags=re.DOTALL)


def main() -> None:
    """Read the figures, write docs."""
    result = json.loads(Path(sys.argv[1]).read_text())
    for path in (ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))):
        path.write_text(filled(path.read_text(), result))


if __name__ == '__main__':
    main()
