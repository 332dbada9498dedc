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

"""The part `idle`: how often a daemon that nobody needs wakes a core, all its threads together.

A thread that goes to sleep was awake: Linux counts that for each (`voluntary_ctxt_switches`).
"""

from __future__ import annotations

import contextlib
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_BOARD = 'orin_nano_super_25w'  # it has rails, which are what a daemon looks at most often
_START_S = 2.0
_SECONDS, _QUICK_SECONDS = 30.0, 10.0


def measure(quick: bool) -> dict[str, float]:
    """Wake-ups a second without a lease, and with one that does not step, for comparison."""
    from e4_ros.energy.client import DvfsClient

    seconds = _QUICK_SECONDS if quick else _SECONDS
    with idle_daemon() as path:
        process = process_at(path)
        time.sleep(_START_S)
        idle = sleeps(process, seconds)
        with DvfsClient(path) as client:
            client.acquire('bench')
            leased = sleeps(process, seconds)
    return {
        'wakes_per_s': round(idle / seconds, 2),
        'leased_wakes_per_s': round(leased / seconds, 2),
        'seconds': seconds,
    }


def show(found: dict[str, float]) -> None:
    """Print both."""
    from e4_ros import console

    console.stdout().print(
        f'a daemon wakes {found["wakes_per_s"]:g} times a second without a lease, '
        f'{found["leased_wakes_per_s"]:g} with one'
    )


@contextlib.contextmanager
def idle_daemon() -> Iterator[Path]:
    """Run `e4 dvfs serve` on a tree in memory, as sysfs is: a thread that waits for a disk sleeps.

    Yields:
        Its socket.
    """
    from e4_ros.benchmarks.boards import listing, tree
    from e4_ros.benchmarks.dvfs.latency import serving

    memory = '/dev/shm' if Path('/dev/shm').is_dir() else None
    with tempfile.TemporaryDirectory(prefix='e4', dir=memory) as folder:
        root = Path(folder) / 'root'
        tree.write(listing.load(_BOARD), root)
        with serving(root, Path(folder)) as path:
            yield path


def process_at(path: Path) -> int:
    """Number of the process that listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(str(path))
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4)
    return int.from_bytes(credentials, 'little')


def sleeps(process: int, seconds: float) -> int:
    """How often the threads of a process go to sleep in some seconds; those that end do not count.

    Args:
        process: number of the process.
        seconds: how long to look.
    """
    before = _counts(process)
    time.sleep(seconds)
    return sum(count - before.get(thread, 0) for thread, count in _counts(process).items())


def _counts(process: int) -> dict[str, int]:
    found = {}
    for status in Path(f'/proc/{process}/task').glob('*/status'):
        with contextlib.suppress(OSError):
            count = re.search(r'^voluntary_ctxt_switches:\s*(\d+)', status.read_text(), re.M)
            if count is not None:
                found[status.parent.name] = int(count[1])
    return found
