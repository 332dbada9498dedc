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

"""The part `power_mode`: another power mode at random moments of leases.

A trial sets one mode of a virtual board, drives a lease, sets another mode at a random moment as
`nvpmodel -m` does, and ends the lease at another. The board's own list of writes says what the
daemon wrote after the change; in the end every limit must read as the new mode set it.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

_TRIALS, _QUICK_TRIALS = 1000, 20
_BINDS_S = 0.05
_BEFORE_S, _AFTER_S = 0.05, 0.12  # at the longest


def measure(quick: bool, seed: int = 1) -> dict[str, Any]:
    """Trials, writes above a new limit 50 ms and more after it, and limits restored above it."""
    from e4_ros import console
    from e4_ros.benchmarks.boards.driven_lease import few_policies, shares
    from e4_ros.energy.boards import board_names, load_board
    from e4_ros.energy.virtual.mount import mount_problem

    if reason := mount_problem():
        return {'tried': 0, 'not_measured': reason}
    rng = random.Random(seed)
    tried = _QUICK_TRIALS if quick else _TRIALS
    boards = [
        name
        for name in board_names()
        if len(load_board(name).power_modes) > 1 and few_policies(name)
    ]
    above, restored_above, other, late_ms = [], [], [], []
    with console.Phases(thread=False) as phases:
        for place, numbers in shares(boards[:1] if quick else boards, tried):
            trials = ModeTrials(place, list(load_board(place.board).power_modes))
            for number in numbers:
                phases('power modes', number, tried)
                found = trials.run(rng)
                above += [f'{place}: {line}' for line in found.above]
                restored_above += [f'{place}: {line}' for line in found.restored_above]
                other += [f'{place}: {line}' for line in found.other]
                late_ms += found.late_ms
    return {
        'tried': tried,
        'above': len(above),
        'restored_above': len(restored_above),
        'otherwise_wrong': len(other),
        'last_write_above_ms': round(max(late_ms, default=0.0), 1),
        'wrong': [*above, *restored_above, *other],
    }


def show(found: dict[str, Any]) -> None:
    """Print what was above a limit."""
    from e4_ros import console

    out = console.stdout()
    if not found['tried']:
        out.print(f'power modes: not measured, {found["not_measured"]}')
        return
    for line in found['wrong']:
        out.print(line)
    out.print(
        f'power modes: {found["tried"]} changes, {found["above"]} writes above a new limit later '
        f'than 50 ms (the last at {found["last_write_above_ms"]} ms), '
        f'{found["restored_above"]} restored above it, {found["otherwise_wrong"]} otherwise wrong'
    )


class ModeTrials:
    """Trials on one board.

    Args:
        place: the board and its daemon.
        modes: names of its power modes.
    """

    def __init__(self, place: Any, modes: list[str]) -> None:
        from e4_ros.benchmarks.boards.driven_lease import ceilings, state_of

        self.place = place
        self._modes = modes
        self._state: dict[str, dict[str, str]] = {}
        self._ceilings: dict[str, dict[str, int]] = {}
        for mode in (*modes, modes[0]):  # once more, as one comes to it from another
            self._set(mode)
            self._state[mode] = state_of(place.root)
            self._ceilings[mode] = ceilings(place.root)

    def run(self, rng: random.Random) -> Outcome:
        """Try once."""
        from e4_ros.benchmarks.boards.driven_lease import DrivenLease, state_of, until

        place, outcome = self.place, Outcome()
        first, second = rng.sample(self._modes, 2)
        self._set(first)
        lease = DrivenLease(rng, place.config.socket_path)
        time.sleep(rng.uniform(0, _BEFORE_S))
        (place.root / 'e4/writes').write_text('\n')
        if rng.random() < 0.7:
            self._set(second)
            time.sleep(rng.uniform(0, _AFTER_S))
            lease.end()
        else:  # while the lease is given back
            ending = threading.Thread(target=lease.end)
            ending.start()
            time.sleep(rng.uniform(0, 0.01))
            self._set(second)
            ending.join()
        expected = self._state[second]
        until(lambda: state_of(place.root) == expected, 2.0)
        what = f'{first} to {second}'
        if lease.problem:
            outcome.other.append(f'{what}: {lease.problem}')
        self._judge_writes(second, what, outcome)
        now = state_of(place.root)
        for path, text in expected.items():
            if now.get(path) != text:
                line = f'{what}: {path} is {now.get(path)!r}, and was {text!r} in that mode'
                higher = _number(now.get(path, '')) > _number(text)
                (outcome.restored_above if higher else outcome.other).append(line)
        return outcome

    def _judge_writes(self, mode: str, what: str, outcome: Outcome) -> None:
        lines = (self.place.root / 'e4/writes').read_text().splitlines()
        writes = [line.split(' ', 2) for line in lines if line.count(' ') == 2]
        since_s = next(float(at) for at, path, _ in writes if path == 'e4/power_mode')
        for at, path, text in writes:
            after_s = float(at) - since_s
            if after_s > 0 and _number(text) > self._ceilings[mode].get(path, 2**63):
                outcome.late_ms.append(1000 * after_s)
                if after_s > _BINDS_S:
                    outcome.above.append(f'{what}: {path} = {text} {1000 * after_s:.0f} ms after')

    def _set(self, mode: str) -> None:
        (self.place.root / 'e4/power_mode').write_text(f'{mode}\n')
        time.sleep(0.002)


@dataclass
class Outcome:
    """What was wrong after one trial, one line each.

    Attributes:
        above: writes above a new limit, too late.
        restored_above: files that read higher than the new mode set them.
        other: what else was wrong.
        late_ms: every write above a new limit, in milliseconds after it.
    """

    above: list[str] = field(default_factory=list)
    restored_above: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
