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

"""Kills clients and daemons at random moments, and checks that every clock is restored.

Every trial draws a board, a kernel generation, clocks, a plan and a moment. Daemon and client
are forked processes (an interpreter's start would take longer than the moments that matter), the
kills are real SIGKILLs, and the boards are FUSE file systems with the kernel's rules (plain trees
where there is no FUSE). A trial mostly waits, so as many run at once as there are cores. Undo logs
lie in memory, as the shipped unit has them (/run/e4).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple

from e4_ros.benchmarks.dvfs.kill_trials import VICTIMS, Trial, try_kill
from e4_ros.energy.boards import board_names
from e4_ros.energy.virtual.board import write_tree
from e4_ros.energy.virtual.mount import mount_problem, mounted

RESTORE_S = 0.2


class Place(NamedTuple):
    """A board that trials run on."""

    board: str
    kernel: str
    root: Path


@dataclass
class KillResult:
    """What was tried and what was restored.

    Attributes:
        lost: description of each trial after which a clock was not restored.
        late: trials that took longer than `RESTORE_S`, each described.
        restore_ms: milliseconds until the restore, for each trial in which there was one.
        tried: (board, kernel, victim) → trials.
        taken: trials in which the clocks were taken at the moment of the kill.
    """

    lost: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    restore_ms: list[float] = field(default_factory=list)
    tried: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    taken: int = 0

    def add(self, place: Place, victim: str, trial: Trial) -> None:
        """Count a trial."""
        what = f'{place.board}, {place.kernel}, {victim}'
        self.taken += trial.taken
        self.tried[place.board, place.kernel, victim] += 1
        if trial.lost:
            self.lost.append(f'{what}: {trial.lost}')
            return
        self.restore_ms.append(1000 * trial.restore_s)
        if trial.restore_s > RESTORE_S:
            self.late.append(f'{what}: {1000 * trial.restore_s:.0f} ms')

    def summary(self) -> dict[str, object]:
        """As `e4 bench dvfs` writes it."""
        ordered = sorted(self.restore_ms) or [0.0]
        count = len(ordered)
        return {
            'tried': self.tried.total(),
            'clocks_taken': self.taken,
            'lost': len(self.lost),
            'late': len(self.late),
            'restore_ms': {
                'p50': round(ordered[count // 2], 1),
                'p99': round(ordered[int(0.99 * count)], 1),
                'max': round(ordered[-1], 1),
            },
            'by_victim': {victim: self._count(2, victim) for victim in VICTIMS},
            'table': [
                {'board': board, 'kernel': kernel, 'victim': victim, 'tried': tried}
                for (board, kernel, victim), tried in sorted(self.tried.items())
            ],
            'lost_trials': self.lost,
            'late_trials': self.late,
        }

    def _count(self, index: int, value: str) -> int:
        return sum(tried for key, tried in self.tried.items() if key[index] == value)


def run_kills(
    trials: int, seed: int = 1, boards: int | None = None, told: Callable[[], None] = lambda: None
) -> KillResult:
    """Try `trials` kills.

    Args:
        trials: how many.
        seed: of everything random.
        boards: how many boards take part; None for all.
        told: called after each trial.

    Raises:
        RuntimeError: a process that tries kills has ended itself.
    """
    result = KillResult()
    memory = '/dev/shm' if Path('/dev/shm').is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix='e4') as name,
        tempfile.TemporaryDirectory(prefix='e4', dir=memory) as states,
        contextlib.ExitStack() as stack,
    ):
        places = list(places_to_try(Path(name), stack, random.Random(seed), boards))
        workers = min(len(os.sched_getaffinity(0)), len(places))
        readers = []
        for worker in range(workers):
            share = len(range(worker, trials, workers))
            folder = Path(states) / str(worker)
            readers.append(_start(places[worker::workers], share, seed + worker, folder))
        for place, victim, trial in _outcomes(readers):
            result.add(place, victim, trial)
            told()
    if result.tried.total() < trials:
        raise RuntimeError('a process that tries kills has ended before its last trial')
    return result


def places_to_try(
    folder: Path, stack: contextlib.ExitStack, rng: random.Random, most: int | None
) -> Iterator[Place]:
    """Boards to try: both kernels' file systems, or plain trees where nothing can be mounted."""
    names = board_names()
    for name in rng.sample(names, min(most or len(names), len(names))):
        if mount_problem() is not None:
            yield Place(name, 'plain', write_tree(name, folder / name))
            continue
        for kernel in ('old', 'new'):
            mount = folder / f'{name}-{kernel}'
            mount.mkdir()
            yield Place(name, kernel, stack.enter_context(mounted(name, mount, kernel)))


def _start(places: list[Place], trials: int, seed: int, folder: Path) -> Connection:
    """Run trials in a process of its own; its outcomes arrive here, one by one."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context('fork').Process(
        target=_work, args=(places, trials, seed, folder, writer), daemon=True
    )
    process.start()
    writer.close()
    return reader


def _work(places: list[Place], trials: int, seed: int, folder: Path, writer: Connection) -> None:
    rng = random.Random(seed)
    for number in range(trials):
        place = places[number % len(places)]
        victim = VICTIMS[number // len(places) % len(VICTIMS)]
        trial = try_kill(rng, place.root, folder / f't{number}', victim)
        writer.send((place, victim, trial))


def _outcomes(readers: list[Connection]) -> Iterator[tuple[Place, str, Trial]]:
    open_readers = list(readers)
    while open_readers:
        for reader in wait(open_readers):
            assert isinstance(reader, Connection)
            try:
                yield reader.recv()
            except EOFError:
                open_readers.remove(reader)
                reader.close()
