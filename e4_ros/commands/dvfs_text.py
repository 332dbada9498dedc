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

"""What `e4 dvfs list` and `watch` show."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from e4_ros.energy.domains.domain import Domain


def clock_table(domains: list[Domain], details: bool, caption: str | None = None) -> Table:
    """One row for each clock; `details` adds its table, its kind, and whether you may set it."""
    from rich.table import Table

    table = Table('domain', 'now', 'allowed', caption=caption)
    if details:
        for header in ('points', 'kind', 'you may set it'):
            table.add_column(header)
    for domain in domains:
        low, high = domain.limits_hz
        row = [domain.name, _mhz_now(domain), f'{low / 1e6:g} to {high / 1e6:g} MHz']
        if details:
            closed = domain.unwritable()
            more = f' and {len(closed) - 1} more' if len(closed) > 1 else ''
            row += [
                f'{len(domain.allowed_hz)} of {len(domain.frequencies_hz)}',
                domain.kind,
                f'no: {closed[0]}{more}' if closed else 'yes',
            ]
        table.add_row(*row)
    return table


def _mhz_now(domain: Domain) -> str:
    try:
        return f'{domain.current_hz() / 1e6:g} MHz'
    except OSError as error:
        return f'? ({error.strerror or error})'


def rail_table(root: Path) -> Table:
    """One row for each power rail below `root`.

    Raises:
        OSError: there is none, or none answers.
    """
    from rich.table import Table

    from e4_ros.energy.meters.rails import counted, find_rails

    found = {rail.label: rail.watts() for rail in find_rails(root)}
    if not found:
        raise OSError('no power rail answers here; `e4 doctor` says what else counts joules')
    whole = counted(found)
    total_w = sum(found[label] for label in whole)
    table = Table('rail', 'now', 'counts', caption=f'the board takes {total_w:.2f} W')
    for label, watts in found.items():
        table.add_row(label, f'{watts:.2f} W', 'yes' if label in whole else 'no: a part')
    return table


def situation(root: Path, socket_path: Path) -> str:
    """Temperature, and what the daemon does, in one line."""
    from e4_ros.energy.client.client import DaemonError, DvfsClient
    from e4_ros.energy.meters.thermal import hottest_c

    hottest = hottest_c(root)
    heat = '' if hottest is None else f'{hottest:.1f} °C · '
    try:
        status = DvfsClient(socket_path, timeout_s=1).status()
    except DaemonError as error:
        other = error.errno == errno.EPROTO
        return heat + (str(error.strerror) if other else 'no daemon')
    if status['problems']:
        return heat + 'not restored: ' + '; '.join(status['problems'])
    if not status['leases']:
        return heat + 'daemon without a client'
    return heat + ' · '.join(map(_lease_text, status['leases']))


def brakes(root: Path) -> list[str]:
    """What holds the clocks down, one line for each; empty where nothing does."""
    from e4_ros.energy.meters.slowdowns import gated_tpcs, slowdowns

    gated = gated_tpcs(root)
    return [*slowdowns(root), *([f'{gated} TPCs of the GPU are off'] if gated else [])]


def _lease_text(lease: dict[str, Any]) -> str:
    alone = ', alone' if lease['exclusive'] else ''
    plan = lease['plan'] or 'none'
    return f'{lease["client"]} (pid {lease["pid"]}{alone}), plan {plan}'
