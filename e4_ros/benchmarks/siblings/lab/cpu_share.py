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

"""A process that gets only a share of one core, as on a weaker board."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from e4_ros.benchmarks.siblings.lab.places import dies_with_us

_GROUPS = Path('/sys/fs/cgroup')
_PREFIX = 'e4-lab-'
_PERIOD_US = 5_000
"""Short, so that a frame is slow all along; within the kernel's usual 100 ms it would run at full
speed and then stand still for 80."""
_LEAST_US = 1_000  # of a quota


class CpuShare(Protocol):
    """What slows processes down.

    Attributes:
        means: a sentence that says how.
    """

    means: str

    def add(self, pid: int) -> None:
        """Slow a process down from now on, with all of its threads."""
        ...


class _Group:
    def __init__(self, share: float) -> None:
        period_us = max(_PERIOD_US, round(_LEAST_US / share))
        quota_us = round(share * period_us)
        files: dict[str, int | str]
        old = _GROUPS / 'cpu'
        if (old / 'cgroup.procs').exists():
            files = {'cpu.cfs_period_us': period_us, 'cpu.cfs_quota_us': quota_us}
            parent = old
        else:
            parent, files = _own_group(), {'cpu.max': f'{quota_us} {period_us}'}
        _sweep(parent)
        self._folder = parent / f'{_PREFIX}{os.getpid()}-{time.monotonic_ns()}'
        self._folder.mkdir()
        try:
            for name, value in files.items():
                (self._folder / name).write_text(str(value))
        except OSError:
            self._folder.rmdir()
            raise
        self.means = f'a control group lets it have {share:.0%} of a core'

    def add(self, pid: int) -> None:
        (self._folder / 'cgroup.procs').write_text(str(pid))

    def close(self) -> None:
        """Remove the group; what still runs in it goes to the group above, at full speed."""
        with contextlib.suppress(OSError):
            for pid in (self._folder / 'cgroup.procs').read_text().split():
                with contextlib.suppress(OSError):
                    (self._folder.parent / 'cgroup.procs').write_text(pid)
        until_s = time.monotonic() + 5
        while self._folder.exists() and time.monotonic() < until_s:
            with contextlib.suppress(OSError):
                self._folder.rmdir()
            time.sleep(0.01)


def _own_group() -> Path:
    """Our group in the one tree of newer systems."""
    for line in Path('/proc/self/cgroup').read_text().splitlines():
        if line.startswith('0::'):
            group = _GROUPS / line[3:].lstrip('/')
            return group if group == _GROUPS else group.parent
    raise OSError('there are no control groups')


def _sweep(parent: Path) -> None:
    """Remove groups whose makers are gone."""
    for folder in parent.glob(f'{_PREFIX}*'):
        pid = folder.name.removeprefix(_PREFIX).partition('-')[0]
        if pid.isdigit() and not Path('/proc', pid).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


class _Groups:
    """A group for each process, so that each has the share."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._free, self._used = [_Group(share)], list[_Group]()
        self.means = self._free[0].means

    def add(self, pid: int) -> None:
        group = self._free.pop() if self._free else _Group(self._share)
        self._used.append(group)
        group.add(pid)

    def close(self) -> None:
        for group in (*self._free, *self._used):
            group.close()


class _Neighbours:
    def __init__(self, share: float, why: str, processes: int) -> None:
        self._core = max(os.sched_getaffinity(0))
        count = max(round(1 / share) - processes, 0)
        spin = 'import sys, threading, os\n'
        spin += 'threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()\n'
        spin += 'while True: pass'
        self._busy = [
            subprocess.Popen(
                [*dies_with_us(), sys.executable, '-c', spin],
                stdin=subprocess.PIPE,
                start_new_session=True,  # a session of its own gets a share of its own
            )
            for _ in range(count)
        ]
        for process in self._busy:
            os.sched_setaffinity(process.pid, {self._core})
        self.means = (
            f'it shares one core with {count} busy processes, which leaves it about {share:.0%} '
            f'while it computes, as there may be no control group ({why})'
        )

    def add(self, pid: int) -> None:
        for thread in Path(f'/proc/{pid}/task').iterdir():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(thread.name), {self._core})

    def close(self) -> None:
        for process in self._busy:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def cpu_share(share: float, kind: str = 'auto', processes: int = 1) -> Iterator[CpuShare]:
    """What lets processes have only a share of a core.

    Args:
        share: of one core, above 0, up to 1.
        kind: ``group``, ``neighbours``, or ``auto`` for the former where it is allowed.
        processes: how many processes will have it, at the same time and each for itself.

    Raises:
        OSError: a group was asked for and is not allowed.
        ValueError: the share is not in its range.
    """
    if not 0 < share <= 1:
        raise ValueError(f'{share} is no share of a core')
    slow: _Groups | _Neighbours
    try:
        if kind == 'neighbours':
            raise OSError('asked for')
        slow = _Groups(share)
    except OSError as error:
        if kind == 'group':
            raise
        slow = _Neighbours(share, error.strerror or str(error), processes)
    with contextlib.closing(slow):
        yield slow
