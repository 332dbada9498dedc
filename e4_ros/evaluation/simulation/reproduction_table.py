"""What `e4 reproduce` prints when it is done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from e4_ros.evaluation.simulation.reproduction import TOP


def print_summary(
    console: Console, table: Sequence[dict[str, Any]], summary: dict[str, Any]
) -> None:
    """Print the mean of every policy, and what E4 saves."""
    by_policy: dict[str, list[dict[str, Any]]] = defaultdict(list)
    top = {}
    for row in table:
        by_policy[row['policy']].append(row)
        if row['policy'] == TOP:
            top[row['board'], row['backbone'], row['workload']] = row['energy_j_per_frame']
    shown = Table(title='mean over boards, backbones and workloads (modelled)')
    shown.add_column('policy')
    for name in ('energy, of all clocks at the top', 'late frames', 'agreement'):
        shown.add_column(name, justify='right')
    for policy, found in by_policy.items():
        ratios = [
            r['energy_j_per_frame'] / top[r['board'], r['backbone'], r['workload']] for r in found
        ]
        shown.add_row(
            policy,
            f'{100 * sum(ratios) / len(found):.1f} %',
            f'{sum(r["deadline_miss_percent"] for r in found) / len(found):.1f} %',
            f'{sum(r["agreement"] for r in found) / len(found):.3f}',
        )
    console.print(shown)
    console.print(
        f'{summary["idle_share_percent"]:.0f} % of what E4 spends is drawn by the waiting board; a '
        f'network that cost nothing would save {summary["bound_percent"]:.1f} %',
        highlight=False,
    )
    console.print(
        f'E4 spends {summary["saving_vs_best_governor_percent"]:.1f} % less than the best governor '
        f'that is late no more often: {summary["from_exits_percent"]:.1f} from exits, '
        f'{summary["from_clocks_percent"]:.1f} from clocks',
        highlight=False,
    )
