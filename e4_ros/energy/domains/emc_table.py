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

"""Rates of a Jetson's memory clock, where its kernel lists them and where it does not.

Newer firmware of the BPMP has no list. Then the rates that are known of the SoC are offered,
together with the two ends, the cap and the rate it runs at now; the hardware rounds what it does
not have, and the read-back says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from e4_ros.energy.domains.domain import limits_hz
from e4_ros.energy.domains.pins import at_most
from e4_ros.energy.domains.sysfs import read_clock, read_text
from e4_ros.energy.errors import DomainError, Snapshot

_CAPS = ('sys/kernel/nvpmodel_clk_cap/emc', 'sys/kernel/nvpmodel_emc_cap/emc_iso_cap')
_COMPATIBLE = 'proc/device-tree/compatible'

# tegra234: `CurrentFreq` of public `jetson_clocks --show` of Orin Nano. tegra194: caps of the power
# modes of Xavier NX and AGX. tegra186: caps of a TX2's nvpmodel.conf, EMC_FREQ of its tegrastats.
_KNOWN_HZ = {
    'nvidia,tegra234': (204_000_000, 665_600_000, 2_133_000_000, 3_199_000_000),
    'nvidia,tegra194': (204_000_000, 1_600_000_000, 1_866_000_000, 2_133_000_000),
    'nvidia,tegra186': (102_000_000, 1_331_200_000, 1_600_000_000, 1_866_000_000),
}


def cap_file(root: Path) -> Path | None:
    """The file with the highest rate that nvpmodel allows; None where there is none."""
    return next((root / place for place in _CAPS if os.access(root / place, os.R_OK)), None)


def cap_hz(root: Path, otherwise: int) -> int:
    """Highest rate that nvpmodel allows; `otherwise` where it sets no cap."""
    path = cap_file(root)
    return otherwise if path is None else read_clock(path) or otherwise


def capped_limits(table_hz: tuple[int, ...], root: Path) -> tuple[int, int]:
    """Limits of a memory clock under the cap that nvpmodel sets now.

    Raises:
        DomainError: the cap cannot be read.
    """
    return limits_hz(table_hz, table_hz[0], min(table_hz[-1], cap_hz(root, table_hz[-1])))


def capped_text(rate: str, root: Path) -> str:
    """A saved rate, or the cap of now where that is lower."""
    try:
        return str(min(int(rate), cap_hz(root, int(rate))))
    except (DomainError, ValueError):
        return rate


def under_cap(saved: Snapshot, rate: str, table_hz: tuple[int, ...], high: int) -> Snapshot:
    """The saved state with a rate above today's cap brought down to it.

    Args:
        saved: saved state.
        rate: name of the file with the rate.
        table_hz: rates of the clock, in hertz, ascending.
        high: today's cap, in hertz.
    """
    if not saved.get(rate, '').isdigit() or int(saved[rate]) <= high:
        return saved
    return saved | {rate: str(at_most(table_hz, high))}


def listed_hz(path: Path, unit: int) -> tuple[int, ...]:
    """Rates of a list of the kernel's, ascending; empty where it has none.

    Args:
        path: file with the rates, with or without their unit in words behind them.
        unit: hertz per unit of its numbers.
    """
    try:
        words = read_text(path).split()
    except DomainError:
        return ()
    return tuple(sorted({int(word) * unit for word in words if word.isdecimal() and int(word)}))


def likely_hz(root: Path, low: int, high: int, seen: Iterable[int]) -> tuple[int, ...]:
    """Rates from `low` to `high` where the kernel lists none.

    Args:
        root: folder that holds ``sys/`` and ``proc/``.
        low: lowest rate, in hertz.
        high: highest rate, in hertz.
        seen: rates that were read somewhere: the cap, the rate now.

    Raises:
        DomainError: there is none, because the ends make no sense.
    """
    if not 0 < high >= low:
        raise DomainError(f'the memory clock ranges from {low} to {high} Hz')
    rates = {low, high, *seen}
    try:
        socs = read_text(root / _COMPATIBLE).split('\0')
    except DomainError:
        socs = []
    for soc in socs:
        rates.update(_KNOWN_HZ.get(soc, ()))
    return tuple(sorted(rate for rate in rates if rate > 0 and low <= rate <= high))
