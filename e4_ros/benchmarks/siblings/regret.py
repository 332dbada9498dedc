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

"""How much more than the exact optimum a policy costs: one table for all siblings.

Each policy is played on the same worlds, one for each seed, so that its cost is compared with the
optimum's on that world, and not with the luck of another::

    runs = {name: [Run(cost, ...) for seed in seeds] for name in policies}
    rows = regret_rows(runs, against='exact')
    show(rows)

Costs are what a policy should make small; 0 % regret is the policy that all are compared with, and
a negative regret is one that costs less than it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from e4_ros.perception.controller import Controller, Decision, Observation, Outcome

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Run:
    """What one policy came to on one world.

    Attributes:
        cost: mean cost of a frame (or of whatever is counted), above 0; all policies' in one unit.
        decision_us: microseconds of one decision, the median; NaN where nothing was decided.
        training_frames: frames that the policy had learnt from before; 0: none.
        measures: anything else that the table shows, by name: ``{'f1': .93, 'late_percent': .1}``.
    """

    cost: float
    decision_us: float = math.nan
    training_frames: int = 0
    measures: Mapping[str, float] = field(default_factory=dict)


def regret_rows(runs: Mapping[str, Sequence[Run]], against: str) -> list[dict[str, Any]]:
    """One row of plain values a policy, in the order given.

    Args:
        runs: policy → its runs, one for each seed, the same seeds in the same order for all.
        against: the policy that regret is counted from, usually the causal exact one.

    Returns:
        Rows with ``policy``, ``seeds``, ``cost`` and ``regret_percent`` (means over seeds), both
        again with ``_low`` and ``_high`` (95 % intervals by Student's t over the seeds; of regret,
        over the seeds' own regrets), ``decision_us``, ``training_frames`` and the measures' means.
        What is not known is None, so that JSON can hold it.

    Raises:
        ValueError: policies were played on different numbers of seeds, there is none that regret
            could be counted from, or a cost is not a number above 0.
    """
    if against not in runs:
        raise ValueError(f'regret against {against!r}, of which there are no runs')
    seeds = {len(found) for found in runs.values()}
    if len(seeds) != 1 or seeds == {0}:
        raise ValueError('every policy must have been played on the same seeds')
    costs = {name: np.array([run.cost for run in found]) for name, found in runs.items()}
    for name, cost in costs.items():
        if not (np.isfinite(cost) & (cost > 0)).all():
            raise ValueError(f'costs of {name} are not all numbers above 0: {cost.tolist()}')
    return [
        {
            'policy': name,
            'seeds': len(found),
            **_spread('cost', costs[name]),
            **_spread('regret_percent', 100 * (costs[name] / costs[against] - 1)),
            'decision_us': _mean([run.decision_us for run in found]),
            'training_frames': max(run.training_frames for run in found),
            **{
                key: _mean([run.measures[key] for run in found if key in run.measures])
                for key in dict.fromkeys(key for run in found for key in run.measures)
            },
        }
        for name, found in runs.items()
    ]


def show(rows: Sequence[Mapping[str, Any]], title: str = '') -> None:
    """Print rows as a table, the cheapest policy first."""
    from rich.table import Table

    from e4_ros import console

    heads, body = as_text(rows)
    table = Table(title=title or None)
    for index, head in enumerate(heads):
        table.add_column(head, justify='right' if index else 'left')
    for line in body:
        table.add_row(*line)
    console.stdout().print(table)


def as_text(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells for people, the cheapest policy first; for the terminal and for docs."""
    known = {'policy', 'seeds', 'decision_us', 'training_frames'}
    stems = ('cost', 'regret_percent')
    known |= {f'{stem}{end}' for stem in stems for end in ('', '_low', '_high')}
    more = list(dict.fromkeys(key for row in rows for key in row if key not in known))
    heads = [
        'policy',
        'cost',
        'regret %',
        *(_head(key) for key in more),
        'decision µs',
        'learnt on',
    ]
    body = [
        [
            str(row['policy']),
            f'{row["cost"]:.4g}',
            _with_interval(row),
            *(_figure(row.get(key)) for key in more),
            _figure(row['decision_us']),
            f'{row["training_frames"]:,} frames' if row['training_frames'] else '',
        ]
        for row in sorted(rows, key=lambda row: row['cost'])
    ]
    return heads, body


class Timed:
    """A controller, and how long its decisions take.

    Args:
        controller: decides.
    """

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.interval_s = controller.interval_s
        self._took_ns: list[int] = []

    @property
    def decision_us(self) -> float:
        """Microseconds of a decision, the median; NaN before the first."""
        return float(np.median(self._took_ns)) / 1e3 if self._took_ns else math.nan

    def decide(self, seen: Observation) -> Decision:
        """What the controller decides."""
        began = time.perf_counter_ns()
        decision = self.controller.decide(seen)
        self._took_ns.append(time.perf_counter_ns() - began)
        return decision

    def observe(self, outcome: Outcome) -> None:
        """Told to the controller."""
        self.controller.observe(outcome)

    def check(self, seen: Observation) -> None:
        """As the controller does."""
        self.controller.check(seen)

    def facts(self) -> Mapping[str, str]:
        """Those of the controller."""
        return self.controller.facts()


def _spread(name: str, values: np.ndarray) -> dict[str, float | None]:
    """Mean and interval over seeds; one seed has no interval."""
    mean = float(values.mean())
    if len(values) < 2:
        return {name: mean, f'{name}_low': None, f'{name}_high': None}
    from scipy.stats import t

    half = float(t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * values.std(ddof=1))
    half /= math.sqrt(len(values))
    return {name: mean, f'{name}_low': mean - half, f'{name}_high': mean + half}


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else None


def _with_interval(row: Mapping[str, Any]) -> str:
    regret, low, high = (row[f'regret_percent{end}'] for end in ('', '_low', '_high'))
    return (
        f'{regret:.1f}' if low is None or low == high else f'{regret:.1f} ({low:.1f} to {high:.1f})'
    )


def _figure(value: float | None) -> str:
    return '' if value is None else f'{value:.3g}'


def _head(key: str) -> str:
    return key.replace('_percent', ' %').replace('_', ' ')
