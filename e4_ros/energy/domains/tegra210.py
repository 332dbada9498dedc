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

"""The memory clock of a Jetson Nano (Tegra210), through debugfs of NVIDIA's 4.9 kernel.

`clk_update_rate` of the clock `override.emc` takes a rate, and `clk_state` = 1 puts it in force
above what everybody else asks for; 0 gives the clock back. The files belong to root.
Source: jetson_clocks, which writes the same files in this order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from e4_ros.energy.domains.emc_table import cap_hz, likely_hz, listed_hz
from e4_ros.energy.domains.switched_memory import SwitchedMemory
from e4_ros.energy.domains.sysfs import read_clock

TOP = 'sys'
OVERRIDE = 'sys/kernel/debug/clk/override.emc'
RATE, STATE, NOW = 'clk_update_rate', 'clk_state', 'clk_rate'
FILES = (STATE, RATE)

_ENDS = tuple(f'sys/kernel/debug/tegra_bwmgr/emc_{end}_rate' for end in ('min', 'max'))
_RATES = 'sys/kernel/debug/clk/emc/clk_possible_rates'
_KHZ = 1000


def find(root: Path) -> Iterator[Tegra210EmcDomain]:
    """The EMC domain below `root`, if there is one that this user can see."""
    if os.access(root / OVERRIDE / RATE, os.F_OK):
        yield Tegra210EmcDomain(root, 'emc')


class Tegra210EmcDomain(SwitchedMemory):
    """The memory clock, pinned by its override."""

    kind = 'tegra210'
    folder, switch, rate, now = OVERRIDE, STATE, RATE, NOW

    def __init__(self, root: Path, name: str) -> None:
        low, high = (read_clock(root / end) for end in _ENDS)
        cap = min(high, cap_hz(root, high))
        listed = [hz for hz in listed_hz(root / _RATES, _KHZ) if low <= hz <= high]
        seen = cap, read_clock(root / OVERRIDE / NOW)
        table = tuple(listed) or likely_hz(root, low, high, seen)
        super().__init__(root, name, table, low, cap)
