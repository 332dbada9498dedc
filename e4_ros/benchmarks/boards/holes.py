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

"""The part `holes`: listings of which files are missing or hold garbage; nothing may be raised.

A machine may then be unknown, have fewer clocks, no meter and no lease, which is said; but whoever
asks gets an answer, and what a lease changed is given back.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from e4_ros.benchmarks.boards import listing, tree, trial
from e4_ros.energy.domains import discover
from e4_ros.energy.identify import identify, machine_board
from e4_ros.energy.meters import open_meter
from e4_ros.energy.meters.thermal import ThermalZones
from e4_ros.energy.power_mode import read_power_mode

GARBAGE = ('', '\n', '0\n', '-1\n', 'n/a\n', '<unsupported>\n', '\0\0', '9' * 40 + '\n', 'a b c\n')
"""What a file holds instead of its text."""

_SHARE = 0.15
"""Share of the files that a hole takes away or spoils."""
_TRIALS, _QUICK = 20, 2


def dig(root: Path, seed: int) -> list[str]:
    """Take away or spoil some files of a tree, and one whole folder; return their paths."""
    chance = random.Random(seed)
    paths = sorted(path for path in root.rglob('*') if path.is_file() and not path.is_symlink())
    hit = chance.sample(paths, max(1, round(_SHARE * len(paths))))
    for path in hit:
        if chance.random() < 0.5:
            path.unlink()
        else:
            path.write_text(chance.choice(GARBAGE))
    if (folder := chance.choice(paths).parent) != root:
        shutil.rmtree(folder)
    return [str(path.relative_to(root)) for path in (*hit, folder)]


def ask(root: Path) -> None:
    """Ask everything that is asked of a machine; each of it must answer."""
    identify(root)
    machine_board(root)
    read_power_mode(root)
    ThermalZones(root).read()
    for domain in discover(root):
        assert domain.allowed_hz, f'{domain.name} has no frequency left'
    if (meter := open_meter(root, None, start=False)) is not None:
        with meter:
            meter.read()
            for path in root.glob('sys/bus/i2c/devices/*/*/*'):
                if path.is_file():
                    path.write_text('n/a\n')  # while it is open: rails vanish
            meter.read()


def problems(shown: listing.Listing, seed: int, lease: bool = True) -> list[str]:
    """What is raised, or not given back, on one machine with holes.

    Args:
        shown: the machine.
        seed: which holes it has.
        lease: whether a lease is tried, too.
    """
    with tempfile.TemporaryDirectory(prefix='e4-holes-') as name:
        root = Path(name) / 'root'
        tree.write(shown, root)
        dig(root, seed)
        wrong = []
        try:
            if lease:  # a refusal in words is an answer: no clock is left, or a zone has no name
                said = trial.leased(root, Path(name) / 'state', {})
                wrong += [line for line in said if not line.startswith(trial.REFUSED)]
            ask(root)
        except Exception as error:
            wrong.append(f'{type(error).__name__}: {error}')
        return wrong


def measure(quick: bool) -> dict[str, Any]:
    """How many machines with holes were tried, and what was wrong with which."""
    from e4_ros import console

    tried, wrong = 0, {}
    names = listing.names()
    with console.Phases(thread=False) as phases:
        for index, name in enumerate(names):
            phases('holes', index, len(names))
            shown = listing.load(name)
            for seed in range(_QUICK if quick else _TRIALS):
                tried += 1
                if found := problems(shown, seed):
                    wrong[f'{name} {seed}'] = found
    return {'tried': tried, 'raised': len(wrong), 'problems': wrong}


def show(found: dict[str, Any]) -> None:
    """Print how many were tried, and what was raised."""
    from e4_ros import console

    out = console.stdout()
    for name, lines in found['problems'].items():
        for line in lines:
            out.print(f'{name}: {line}')
    out.print(f'holes: {found["tried"]} tried, {found["raised"]} with an error or a change left')
