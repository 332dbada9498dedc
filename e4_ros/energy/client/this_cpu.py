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
