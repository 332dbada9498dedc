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

"""The part `offline`: CPU clusters go offline, and come back, at random moments of leases.

A trial drives a lease on a virtual board, takes one or several of its CPU clusters off at a random
moment, and brings them back in the lease, after it, or in the next one. The lease must live on, the
next must be given meanwhile, and in the end every file must read as before.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

_TRIALS, _QUICK_TRIALS = 300, 12
_LONGEST_S = 0.1
_BACK_S = 10.0


def measure(quick: bool, seed: int = 1) -> dict[str, Any]:
    """Trials, and those after which a lease was lost or refused, or a clock was not as before."""
    from e4_ros import console
    from e4_ros.benchmarks.boards.driven_lease import few_policies, shares
    from e4_ros.energy.boards import board_names
    from e4_ros.energy.virtual.mount import mount_problem

    if reason := mount_problem():
        return {'tried': 0, 'not_measured': reason}
    rng = random.Random(seed)
    tried = _QUICK_TRIALS if quick else _TRIALS
    boards = [name for name in board_names() if few_policies(name) > 1]
    lost = []
    with console.Phases(thread=False) as phases:
        for place, numbers in shares(boards[:1] if quick else boards, tried):
            _all_on(place.root)
            for number in numbers:
                phases('CPUs offline', number, tried)
                if wrong := _try(place, rng):
                    lost.append(f'{place}: {wrong}')
    return {'tried': tried, 'lost': len(lost), 'wrong': lost}


def show(found: dict[str, Any]) -> None:
    """Print what was lost."""
    from e4_ros import console

    out = console.stdout()
    if not found['tried']:
        out.print(f'CPUs offline: not measured, {found["not_measured"]}')
        return
    for line in found['wrong']:
        out.print(line)
    out.print(f'CPUs offline: {found["lost"]} of {found["tried"]} trials lost something')


def _try(place: Any, rng: random.Random) -> str:
    """One trial; what was lost, or empty."""
    from e4_ros.benchmarks.boards.driven_lease import DrivenLease, state_of, until

    before = state_of(place.root)
    clusters = _clusters(place.root)
    gone = rng.sample(clusters, rng.randint(1, len(clusters) - 1))
    when = rng.choice(('in the lease', 'between leases', 'in the next lease', 'in the next lease'))
    leases = [DrivenLease(rng, place.config.socket_path)]
    time.sleep(rng.uniform(0, _LONGEST_S))
    _switch(place.root, gone, on=False)
    time.sleep(rng.uniform(0, _LONGEST_S))
    if when == 'in the lease':
        _switch(place.root, gone, on=True)
        time.sleep(rng.uniform(0, _LONGEST_S))
    leases[0].end()
    if when == 'between leases':
        _switch(place.root, gone, on=True)
    elif when == 'in the next lease':
        leases.append(DrivenLease(rng, place.config.socket_path))
        time.sleep(rng.uniform(0, _LONGEST_S))
        _switch(place.root, gone, on=True)
        time.sleep(rng.uniform(0, _LONGEST_S))
        leases[1].end()
    problems = [lease.problem for lease in leases if lease.problem]
    if not until(lambda: state_of(place.root) == before, _BACK_S):
        now = state_of(place.root)
        changed = {path for path in before | now if before.get(path) != now.get(path)}
        problems += [f'{p} is {now.get(p)!r}, was {before.get(p)!r}' for p in sorted(changed)]
    names = ', '.join(folder.name for folder, _ in gone)
    return f'{names} back {when}: {"; ".join(problems)}' if problems else ''


def _all_on(root: Path) -> None:
    """Bring every CPU online: some boards ship in a mode that has clusters off."""
    for path in sorted((root / 'sys/devices/system/cpu').glob('cpu[0-9]*/online')):
        path.write_text('1\n')


def _clusters(root: Path) -> list[tuple[Path, list[str]]]:
    """Folder of each cpufreq policy, and its CPUs."""
    folders = sorted((root / 'sys/devices/system/cpu/cpufreq').glob('policy*'))
    return [(folder, (folder / 'related_cpus').read_text().split()) for folder in folders]


def _switch(root: Path, clusters: list[tuple[Path, list[str]]], on: bool) -> None:
    for _, cpus in clusters:
        for cpu in cpus:
            (root / f'sys/devices/system/cpu/cpu{cpu}/online').write_text(f'{int(on)}\n')
