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

"""The figures of `e4 bench dvfs` for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

_ROWS = (
    ('step_client_idle_us', 'cost for the client, idle machine'),
    ('step_client_us', 'cost for the client, all cores inferring'),
    ('step_to_write_idle_us', 'until written, idle machine'),
    ('step_to_write_us', 'until written, all cores inferring'),
    ('fuse_to_write_us', 'until written, virtual board'),
    ('topic_us', 'until written, sent as a ROS topic'),
    ('service_us', 'until written, sent as a ROS service call'),
)
_BARE = (
    ('client_us', 'a bare process instead: cost for the client, all cores inferring'),
    ('to_write_us', 'a bare process instead: until written, all cores inferring'),
)


def show(console: Console, result: dict[str, Any]) -> None:
    """Print a whole result."""
    table = Table('a step', 'p50 µs', 'p99 µs', title='e4 bench dvfs', title_justify='left')
    for figures, label in (
        *((result[key], label) for key, label in _ROWS),
        *((result['bare'][key], label) for key, label in _BARE),
    ):
        row = ('–', '–') if figures is None else (f'{figures["p50"]:g}', f'{figures["p99"]:g}')
        table.add_row(label, *row)
    console.print(table)
    plan = result['plan']
    console.print(
        f'a step writes {plan["writes"]} files of {", ".join(plan["domains"])}; the thread that '
        f'applies it runs under {result["machine"]["step_thread"]}'
    )
    kills, fuzz = result['kills'], result['fuzz']
    console.print(
        f'kills: {kills["tried"]} tried ({kills["clocks_taken"]} with clocks taken), '
        f'{kills["lost"]} lost, {kills["late"]} later than 200 ms; '
        f'back after {kills["restore_ms"]["p50"]:g} ms p50, {kills["restore_ms"]["max"]:g} ms max'
    )
    console.print(
        f'fuzz: {fuzz["tried"]} tried, {fuzz["crashes"]} crashes, {fuzz["bad_writes"]} bad writes, '
        f'{fuzz["leases_stolen"]} leases stolen'
    )
    for meter in result['meters']:
        console.print(f'meter: {meter["meter"]}: {meter["error_percent"]:g} % error')
    for key, reason in result['not_measured'].items():
        console.print(f'not measured: {key}: {reason}')
