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

"""One kill trial: a daemon and one to three clients, killed, and whether clocks are restored."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from e4_ros.benchmarks.dvfs.bench_plans import random_plan
from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.daemon import Daemon, DaemonConfig
from e4_ros.energy.daemon.undo_log import FILE_NAME
from e4_ros.energy.domains.discovery import discover

VICTIMS = ('client', 'daemon', 'client, then daemon', 'daemon by SIGTERM')
PATIENCE_S = 20.0
_LONGEST_LIFE_S = 0.06

_GOVERNORS = ('scaling_governor', 'governor')
_RANGES = {
    'scaling_max_freq': ('scaling_min_freq', 'scaling_available_frequencies'),
    'max_freq': ('min_freq', 'available_frequencies'),
}

SavedState = dict[Path, str]


class Trial(NamedTuple):
    """What one kill did.

    Attributes:
        taken: whether the clocks were taken at the moment of the kill.
        lost: what was not restored; empty if everything was.
        restore_s: from the death of the last client, or the start of the next daemon, until every
            original was back.
    """

    taken: bool
    lost: str
    restore_s: float


def try_kill(rng: random.Random, root: Path, folder: Path, victim: str) -> Trial:
    """Kill at a random moment of random plans, one for each client."""
    shuffle_state(rng, root)
    before = saved(root)
    config = DaemonConfig(root=root, state_dir=folder / 'state', socket_path=folder / 's')
    daemon = fork_daemon(config)
    clients = [
        fork_client(config.socket_path, rng.getrandbits(64)) for _ in range(rng.randint(1, 3))
    ]
    undo_log = config.state_dir / FILE_NAME
    # Some moments count from the client's start, most from when it has taken the clocks.
    if rng.random() < 0.8:
        until = time.monotonic() + PATIENCE_S
        while not undo_log.exists() and time.monotonic() < until:
            time.sleep(0.0005)
    time.sleep(rng.uniform(0, _LONGEST_LIFE_S))
    taken = undo_log.exists()
    began = time.monotonic()
    second = None
    if victim == 'client':
        began = _kill_all(clients, rng)
    elif victim == 'daemon by SIGTERM':
        os.kill(daemon, signal.SIGTERM)
    else:
        if victim == 'client, then daemon':
            _kill_all(clients, rng)
            time.sleep(rng.uniform(0, 0.01))
        kill(daemon)
        began = time.monotonic()
        second = fork_daemon(config, wait=False)
    lost, restore_s = wait_for(before, undo_log, began)
    for process in (*clients, daemon, second):
        if process is not None:
            end(process)
    # A plan that came into force after the check must have been rolled back as well.
    lost = lost or difference(before, saved(root))
    if not lost and undo_log.exists():
        lost = 'an undo log was left behind'
    return Trial(taken, lost, restore_s)


def wait_for(before: SavedState, undo_log: Path, began: float) -> tuple[str, float]:
    """What was not restored within `PATIENCE_S`, and the seconds until everything was.

    The undo log is removed when the last file has been read back. Nothing else is read until then,
    so that the virtual boards, which are programs, have time for the daemon.
    """
    while undo_log.exists() and time.monotonic() - began < PATIENCE_S:
        time.sleep(0.0005)
    while True:
        elapsed_s = time.monotonic() - began
        lost = difference(before, {path: _text(path) for path in before})
        if not lost or elapsed_s > PATIENCE_S:
            return lost, elapsed_s
        time.sleep(0.001)


def saved(root: Path) -> SavedState:
    """Everything that a lease may change."""
    names = [name for domain in discover(root) for name in domain.snapshot()]
    return {root / name: _text(root / name) for name in names}


def difference(before: SavedState, now: SavedState) -> str:
    """What is not as it was saved; empty if all is."""
    return '; '.join(
        f'{path} is {now.get(path)!r}, was {text!r}'
        for path, text in before.items()
        if now.get(path) != text
    )


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        return f'unreadable: {error}'


def shuffle_state(rng: random.Random, root: Path) -> None:
    """Leave other governors and limits behind, as a power mode or an administrator would."""
    for path in saved(root):
        if path.name in _GOVERNORS:
            offered = next(path.parent.glob('*available_governors'))
            _try_write(path, rng.choice(offered.read_text().split()))
        elif path.name in _RANGES:
            low, table = (path.with_name(name) for name in _RANGES[path.name])
            if table.exists():
                hertz = sorted(table.read_text().split(), key=int)
                first, last = sorted(rng.choices(range(len(hertz)), k=2))
                for file, text in ((low, hertz[0]), (path, hertz[last]), (low, hertz[first])):
                    _try_write(file, text)


def _try_write(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        path.write_text(f'{text}\n')


def fork_daemon(config: DaemonConfig, wait: bool = True) -> int:
    """A daemon in a process of its own, which ends in order at SIGTERM.

    Raises:
        RuntimeError: it did not start; the process has ended.
    """
    reading, writing = os.pipe()

    def be_daemon() -> None:
        ending = []
        signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
        with Daemon(config):
            os.write(writing, b'!')
            while not ending:
                time.sleep(0.005)

    process = _fork(be_daemon)
    os.close(writing)
    started = not wait or os.read(reading, 1) == b'!'
    os.close(reading)
    if not started:
        os.waitpid(process, 0)
        raise RuntimeError('the daemon did not start')
    return process


def fork_client(socket_path: Path, seed: int) -> int:
    """A client in a process of its own, with the lease and random plans until it is killed."""

    def be_client() -> None:
        rng = random.Random(seed)
        client = DvfsClient(socket_path)
        client.acquire('victim')
        while True:
            plan = random_plan(rng, client.board, client.frequencies_hz)
            client.set_plan(plan)
            for _ in range(rng.randint(1, 30)):
                path = rng.randrange(len(plan.paths))
                client.step(path, rng.randrange(len(plan.segments)))
                time.sleep(rng.choice((0, 0, 0.0005, 0.002)))

    return _fork(be_client)


def _fork(be: Callable[[], None]) -> int:
    gc.freeze()
    process = os.fork()
    if process:
        return process
    try:
        be()
    except BaseException:  # the parent sees the exit status, and nobody a traceback
        os._exit(1)
    os._exit(0)


def kill(process: int) -> None:
    """Kill a process and wait until it is gone."""
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def _kill_all(processes: list[int], rng: random.Random) -> float:
    """Kill one after the other; returns the moment of the last."""
    began = time.monotonic()
    for number, process in enumerate(processes):
        if number:
            time.sleep(rng.choice((0, rng.uniform(0, 0.01))))
        began = time.monotonic()
        kill(process)
    return began


def end(process: int) -> None:
    """End a process in order; it may have ended, and been waited for, already."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(process, signal.SIGTERM)
        os.waitpid(process, 0)
