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

"""The memory clock of a Jetson (EMC), through the debugfs of its boot and power processor (BPMP).

`mrq_rate_locked` = 1 takes the clock from the bandwidth manager, `rate` sets it (the BPMP rounds),
and the lock must be restored. The files belong to root.
Source: nvpmodel and jetson_clocks, which write the same files; see also jetson-stats 7.2.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from e4_ros.energy.domains.emc_table import cap_hz, likely_hz, listed_hz
from e4_ros.energy.domains.switched_memory import SwitchedMemory
from e4_ros.energy.domains.sysfs import read_clock

TOP = 'sys'
EMC = 'sys/kernel/debug/bpmp/debug/clk/emc'
RATE, LOCK = 'rate', 'mrq_rate_locked'
FILES = (LOCK, RATE)

# Where kernels list the rates, with the unit in hertz: mainline, JetPack 4.
_TABLES = (
    ('sys/kernel/debug/emc/available_rates', 1),
    ('sys/kernel/debug/bpmp/debug/emc/possible_rates', 1000),
)


def find(root: Path) -> Iterator[EmcDomain]:
    """The EMC domain below `root`, if there is one that this user can see."""
    if os.access(root / EMC / RATE, os.F_OK):
        yield EmcDomain(root, 'emc')


class EmcDomain(SwitchedMemory):
    """The memory clock, pinned by lock and rate."""

    kind = 'bpmp'
    folder, switch, rate, now = EMC, LOCK, RATE, RATE

    def __init__(self, root: Path, name: str) -> None:
        low, high = (read_clock(root / EMC / end) for end in ('min_rate', 'max_rate'))
        cap = min(high, cap_hz(root, high))
        listed = next(filter(None, (listed_hz(root / p, unit) for p, unit in _TABLES)), ())
        table = listed or likely_hz(root, low, high, (cap, read_clock(root / EMC / RATE)))
        super().__init__(root, name, table, low, cap)
