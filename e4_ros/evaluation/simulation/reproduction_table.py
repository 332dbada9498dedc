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

"""What `e4 reproduce` prints when it is done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from e4_ros.evaluation.simulation.reproduction import TOP
from e4_ros.evaluation.simulation.reproduction_summary import SCENE

FIGURES = {
    'saving_vs_stock_percent': 'the stock governors, whole network, however late',
    'saving_vs_best_kernel_governor_percent': 'the best kernel governor in time, whole network',
    'saving_vs_best_governor_percent': 'the best of any kind in time, learning ones included',
    'from_clocks_percent': '  of that: one better point for the whole network',
    'from_exits_percent': '  of that: exits',
    'from_segment_clocks_percent': '  of that: clocks of each segment',
    'saving_vs_any_lateness_percent': 'the cheapest of any kind, however late, whole network',
    'saving_vs_fixed_point_with_exits_percent': 'the best fixed point with the same exits',
    'saving_vs_best_with_exits_percent': 'the best of any kind in time with the same exits',
    'saving_vs_any_lateness_with_exits_percent': 'the cheapest with the same exits, however late',
    'saving_with_emc_at_top_percent': 'the third, had E4 left the memory clock at its top',
}
"""Figure of a summary → what E4 saves it against."""


def savings_rows(paces: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table of savings: one column a pace, each with its interval."""
    heads = ['E4 draws less than', *(f'{p["pace"]:g}×' for p in paces)]
    rows = []
    for key, words in FIGURES.items():
        cells = []
        for pace in paces:
            low, high = pace['summary']['intervals'][key]
            cells.append(f'{pace["summary"][key]:.1f} % ({low:.1f} … {high:.1f})')
        rows.append([words, *cells])
    waits = [f'{p["summary"]["idle_share_percent"]:.0f} %' for p in paces]
    fixed = [
        f'{len(p["summary"]["fixed_point_is_the_plan"])} of {len(p["summary"]["scenes"])}'
        for p in paces
    ]
    rows.append(['a board that waits awake, of what E4 draws', *waits])
    rows.append(['scenes in which the plan is one fixed point', *fixed])
    return heads, rows


def policy_rows(table: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Mean of every policy at one pace: energy, late frames, agreement."""
    by_policy: dict[str, list[dict[str, Any]]] = defaultdict(list)
    top = {}
    for row in table:
        by_policy[row['policy']].append(row)
        if row['policy'] == TOP:
            top[tuple(row[k] for k in SCENE)] = row['energy_j_per_frame']
    lines = []
    for policy, found in by_policy.items():
        ratios = [r['energy_j_per_frame'] / top[tuple(r[k] for k in SCENE)] for r in found]
        late = sum(r['deadline_miss_percent'] for r in found) / len(found)
        agreement = sum(r['agreement'] for r in found) / len(found)
        energy = f'{100 * sum(ratios) / len(found):.1f} %'
        lines.append([policy, energy, f'{late:.1f} %', f'{agreement:.3f}'])
    return lines


def print_summary(
    console: Console, table: Sequence[dict[str, Any]], paces: Sequence[Mapping[str, Any]]
) -> None:
    """Print the mean of every policy at the first pace, and what E4 saves at each."""
    first = [row for row in table if row['pace'] == paces[0]['pace']]
    title = f'mean over scenes, a frame every {paces[0]["pace"]:g}× the fastest latency (modelled)'
    _print(
        console, title, ['policy', 'energy, of all clocks at the top', 'late frames', 'agreement'],
        policy_rows(first),
    )  # fmt: skip
    _print(console, 'what E4 saves, by the time between frames', *savings_rows(paces))


def _print(console: Console, title: str, heads: Sequence[str], rows: Sequence[list[str]]) -> None:
    shown = Table(title=title)
    for number, head in enumerate(heads):
        shown.add_column(head, justify='right' if number else 'left')
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
