"""What a helper asks of interpreter and kernel, so that nothing of its own keeps a step waiting."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import sys

_log = logging.getLogger(__name__)

_SWITCH_S = 50e-6
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # mlockall(2); the last since Linux 4.4


def steady_process() -> None:
    """Make this process a helper's; call it once, when everything is imported.

    Another thread gives the interpreter up within 50 µs (Python's default: 5 ms), the garbage
    collector no longer walks through what was imported, and pages that were touched stay in memory
    where the system permits (``LimitMEMLOCK``).
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT):
        _log.info('memory may be swapped out: %s', os.strerror(ctypes.get_errno()))


def hurry(priority: int) -> None:
    """Run the calling thread under SCHED_FIFO, where the system permits (``LimitRTPRIO``).

    Args:
        priority: 1 to 99; 0 leaves the thread as it is.
    """
    if priority <= 0:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError as error:
        _log.info('steps run without real-time priority: %s', error)


def step_aside(others: set[int]) -> None:
    """Move the calling thread to one of these CPUs; an empty set, or no permission: it stays.

    The kernel wakes a real-time thread where it last ran, whoever computes there now.
    """
    if others:
        try:
            os.sched_setaffinity(0, others)
        except OSError as error:
            _log.debug('the thread stays on its CPU: %s', error)
