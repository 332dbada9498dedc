"""The CPU on which the calling thread runs; the call takes a tenth of a microsecond."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

UNKNOWN_CPU = 0xFFFF


def _find() -> Callable[[], int]:
    try:
        # PyDLL keeps the interpreter's lock, which to release would take longer than the call.
        function = ctypes.PyDLL(None).sched_getcpu
    except (OSError, AttributeError):  # a C library without it
        return lambda: UNKNOWN_CPU
    function.argtypes = ()
    function.restype = ctypes.c_int
    return function


this_cpu = _find()
"""Number of the CPU (sched_getcpu(3)), or `UNKNOWN_CPU`."""
