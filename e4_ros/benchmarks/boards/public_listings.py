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

"""The part `listings`: every public listing that ships is tried."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def measure(quick: bool) -> list[Row]:
    """One row for each listing: board, sources, whether all is as listed, and what is not."""
    from e4_ros import console
    from e4_ros.benchmarks.boards import listing, trial

    rows = []
    names = listing.names()
    with console.Phases(thread=False) as phases:
        for index, name in enumerate(names[::4] if quick else names):
            phases('listings', index, len(names))
            machine = listing.load(name)
            problems = trial.problems(machine)
            rows.append(
                {
                    'board': name,
                    'title': machine.title,
                    'source': ' '.join(machine.sources),
                    'ok': not problems,
                    'problems': problems,
                }
            )
    return rows


def show(found: list[Row]) -> None:
    """Print what differs, and how many listings are as they should be."""
    from e4_ros import console

    out = console.stdout()
    for row in found:
        out.print(f'{row["board"]}: {"as listed" if row["ok"] else "differs"}')
        for problem in row['problems']:
            out.print(f'  {problem}')
    out.print(f'{sum(row["ok"] for row in found)} of {len(found)} listings: all as listed')
