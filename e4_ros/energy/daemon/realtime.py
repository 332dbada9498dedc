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

"""Real-time setup of the daemon's process, so that nothing of its own delays a step."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import queue
import sys
import threading
import time

_log = logging.getLogger(__name__)

_SWITCH_S = 50e-6
_STANDARD_ERROR = 2
_MOST_LINES = 1000
_LAST_LINES_S = 1.0
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # mlockall(2); the last since Linux 4.4


def setup_realtime() -> None:
    """Set this process up for real-time work; call it once, when everything is imported.

    Another thread releases the interpreter within 50 µs (Python's default: 5 ms), the garbage
    collector no longer walks through what was imported, and pages that were touched stay in memory
    where the system permits (``LimitMEMLOCK``).
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT):
        _log.info('memory may be swapped out: %s', os.strerror(ctypes.get_errno()))


def set_fifo_priority(priority: int) -> None:
    """Run the calling thread under SCHED_FIFO, where the system permits (``LimitRTPRIO``).

    Args:
        priority: SCHED_FIFO priority, 1 to 99; 0 leaves the thread as it is.
    """
    if priority <= 0:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError as error:
        _log.info('steps run without real-time priority: %s', error)


def migrate_off_cpu(others: set[int]) -> None:
    """Move the calling thread to one of the given CPUs.

    The kernel wakes a real-time thread on the CPU where it last ran, whoever computes there now.

    Args:
        others: numbers of the allowed CPUs; with an empty set, or without permission, the thread
            stays where it is.
    """
    if others:
        try:
            os.sched_setaffinity(0, others)
        except OSError as error:
            _log.debug('the thread stays on its CPU: %s', error)


class _AsyncHandler(logging.Handler):
    """Hands lines to a thread of its own that writes standard error and holds no lock."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: queue.Queue[str] = queue.Queue(_MOST_LINES)
        threading.Thread(target=self._write, name='e4-log', daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(f'{self.format(record)}\n')

    def flush(self) -> None:
        deadline = time.monotonic() + _LAST_LINES_S
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def _write(self) -> None:
        while True:
            text = self._lines.get()
            with contextlib.suppress(OSError):
                os.write(_STANDARD_ERROR, text.encode(errors='replace'))
            self._lines.task_done()


def log_asynchronously(level: int) -> None:
    """Let a thread of its own write this process's log to standard error.

    A terminal that is stopped (Ctrl-S) or a pipe that nobody reads then delays neither a lease nor
    a restore. A line that finds a thousand lines waiting is dropped.

    Args:
        level: level of the `logging` module from which on messages are written.
    """
    logging.basicConfig(level=level, format='%(message)s', handlers=[_AsyncHandler()], force=True)
