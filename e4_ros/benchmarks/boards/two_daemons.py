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

"""The part `two_daemons`: daemons from different folders want one board, and are killed.

A trial leaves random governors and limits on a board, then lets daemons with three state folders
take turns on it, each with a client that holds random plans. While one serves, another tries to
start. Daemons and clients end by SIGKILL or in order, at random moments; the last daemon ends in
order. Then every file must read as before.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

_TRIALS, _QUICK_TRIALS = 100, 10
_BOARDS = 3
_LONGEST_LIFE_S = 0.15
_TURNS = 3


def measure(quick: bool, seed: int = 1) -> dict[str, Any]:
    """Trials, those after which a clock was pinned, starts beside a daemon, and what was wrong."""
    from e4_ros import console
    from e4_ros.benchmarks.dvfs.kills import places_to_try

    rng = random.Random(seed)
    tried = _QUICK_TRIALS if quick else _TRIALS
    wrong, both, killed = [], 0, 0
    memory = '/dev/shm' if Path('/dev/shm').is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix='e4') as boards,
        tempfile.TemporaryDirectory(prefix='e4', dir=memory) as states,
        contextlib.ExitStack() as stack,
        console.Phases(thread=False) as phases,
    ):
        places = list(places_to_try(Path(boards), stack, rng, 1 if quick else _BOARDS))
        for number in range(tried):
            phases('two daemons', number, tried)
            place = places[number % len(places)]
            trial = BoardTrial(rng, place.root, Path(states) / str(number))
            if lost := trial.run():
                wrong.append(f'{place.board}, {place.kernel}: {lost}')
            both += trial.both
            killed += trial.killed
    return {
        'tried': tried,
        'pinned': len(wrong),
        'served_together': both,
        'daemons_killed': killed,
        'pinned_trials': wrong,
    }


def show(found: dict[str, Any]) -> None:
    """Print what stayed pinned."""
    from e4_ros import console

    out = console.stdout()
    for line in found['pinned_trials']:
        out.print(line)
    out.print(
        f'two daemons: {found["pinned"]} of {found["tried"]} trials left clocks pinned, '
        f'{found["served_together"]} times two served one board, '
        f'{found["daemons_killed"]} daemons killed'
    )


class BoardTrial:
    """One board, and daemons with folders of their own.

    Attributes:
        both: how often a daemon started while another served the board.
        killed: number of daemons that were killed.
    """

    def __init__(self, rng: random.Random, root: Path, folder: Path) -> None:
        from e4_ros.energy.daemon import DaemonConfig

        self.both = self.killed = 0
        self._rng = rng
        self._root = root
        self._configs = [
            DaemonConfig(root=root, state_dir=folder / name, socket_path=folder / name / 's')
            for name in ('a', 'b', 'c')
        ]

    def run(self, turns: int = _TURNS) -> str:
        """Try once; return what was not as before in the end, or empty."""
        from e4_ros.benchmarks.dvfs.kill_trials import difference, saved, shuffle_state

        shuffle_state(self._rng, self._root)
        before = saved(self._root)
        for _ in range(turns):
            self._serve(self._rng.choice(('daemon', 'client', 'both', 'nobody')))
        self._serve('nobody')
        return difference(before, saved(self._root))

    def _serve(self, victim: str) -> None:
        """One daemon serves a client; the others try to start meanwhile; `victim` is killed."""
        from e4_ros.benchmarks.dvfs.kill_trials import end, fork_client, fork_daemon, kill

        config, *others = self._rng.sample(self._configs, 3)
        daemon = fork_daemon(config)
        client = fork_client(config.socket_path, self._rng.getrandbits(64))
        time.sleep(self._rng.uniform(0, _LONGEST_LIFE_S))
        with contextlib.suppress(RuntimeError):
            end(fork_daemon(self._rng.choice(others)))
            self.both += 1
        time.sleep(self._rng.uniform(0, _LONGEST_LIFE_S / 3))
        if victim in ('client', 'both'):
            kill(client)
        if victim in ('daemon', 'both'):
            kill(daemon)
            self.killed += 1
        else:
            os.kill(daemon, signal.SIGTERM)
            os.waitpid(daemon, 0)
        if victim in ('daemon', 'nobody'):
            kill(client)
