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

"""A lease that is driven hard, for the parts in which something happens to its board meanwhile."""

from __future__ import annotations

import contextlib
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from e4_ros.benchmarks.dvfs.bench_plans import random_plan
from e4_ros.benchmarks.dvfs.kill_trials import end, fork_daemon
from e4_ros.energy.boards import load_board
from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient
from e4_ros.energy.daemon import DaemonConfig
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.plan import PlanError
from e4_ros.energy.virtual.machine import Kernel
from e4_ros.energy.virtual.mount import mounted

PATIENCE_S = 20.0
_KERNELS: tuple[Kernel, ...] = ('old', 'new')
_MOST_POLICIES = 4
_PAUSES_S = (0.0005, 0.001, 0.003)
_STEPS = 15  # from one plan to the next


class Place(NamedTuple):
    """A virtual board under a daemon.

    Attributes:
        board: name of the board.
        kernel: generation of its kernel.
        root: where it is mounted.
        config: settings of the daemon.
    """

    board: str
    kernel: str
    root: Path
    config: DaemonConfig

    def __str__(self) -> str:
        return f'{self.board}, {self.kernel}'


def shares(boards: Sequence[str], tried: int) -> Iterator[tuple[Place, range]]:
    """Every board with both kernels, one after the other, each under a daemon of its own.

    Args:
        boards: names of the boards.
        tried: number of trials in all.

    Yields:
        The board, and the numbers of the trials that it gets; it is there until the next.
    """
    memory = '/dev/shm' if Path('/dev/shm').is_dir() else None
    kinds = [(board, kernel) for board in boards for kernel in _KERNELS]
    first = 0
    for index, (board, kernel) in enumerate(kinds):
        last = tried * (index + 1) // len(kinds)
        with (
            tempfile.TemporaryDirectory(prefix='e4') as mount,
            tempfile.TemporaryDirectory(prefix='e4', dir=memory) as state,
            mounted(board, Path(mount) / 'root', kernel) as root,
            contextlib.ExitStack() as stack,
        ):
            socket = Path(state) / 's'
            config = DaemonConfig(root=root, state_dir=Path(state) / 'state', socket_path=socket)
            stack.callback(end, fork_daemon(config))
            yield Place(board, kernel, root, config), range(first, last)
        first = last


def few_policies(board: str) -> int:
    """Number of a board's cpufreq policies, or 0 where there are so many that trials take long."""
    count = sum(len(spec.policies) for spec in load_board(board).domains.values())
    return count if count <= _MOST_POLICIES else 0


class DrivenLease:
    """A client in a thread of its own that sets random plans and steps through them.

    Args:
        rng: of everything random.
        socket_path: socket of the daemon.

    Attributes:
        problem: what went wrong; empty if nothing did. A plan that is refused because the limits
            changed is not.
    """

    def __init__(self, rng: random.Random, socket_path: Path) -> None:
        self.problem = ''
        self._rng = rng
        self._client = DvfsClient(socket_path, timeout_s=PATIENCE_S)
        self._stop = threading.Event()
        self._stepping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._stepping.wait(PATIENCE_S)

    def end(self) -> None:
        """Give the lease back."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        client = self._client
        try:
            client.acquire('bench')
            self._plan()
            while not self._stop.is_set():
                self._step()
            if client.state is not ClientState.HELD:
                self.problem = f'the lease was lost: {client.lost_because}'
            client.release()
        except (OSError, ValueError) as error:
            self.problem = self.problem or str(error)
        finally:
            client.close()
            self._stepping.set()

    def _plan(self) -> None:
        plan = random_plan(self._rng, self._client.board, self._client.frequencies_hz)
        self._client.set_plan(plan)
        self._paths = [list(path.segments) for path in plan.paths.values()]

    def _step(self) -> None:
        for _ in range(_STEPS):
            path = self._rng.randrange(len(self._paths))
            self._client.step(path, self._rng.choice(self._paths[path]))
            self._stepping.set()
            if self._stop.wait(self._rng.choice(_PAUSES_S)):
                return
        try:
            self._plan()
        except (DaemonError, PlanError):
            if self._client.state is not ClientState.HELD:
                self._stop.set()


def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def state_of(root: Path) -> dict[str, str]:
    """Everything that a lease may change, of the clocks that are there now."""
    return {name: text for domain in discover(root) for name, text in domain.snapshot().items()}


def ceilings(root: Path) -> dict[str, int]:
    """Path → highest number that may be written there under the limits of now."""
    found = {}
    for domain in discover(root):
        unit = getattr(domain, 'unit_hz', 1)
        for name, text in domain.snapshot().items():
            if text.isdigit() or name.endswith('setspeed'):
                found[name] = domain.limits_hz[1] // unit
    return found
