"""Rates of a Jetson's memory clock, where its kernel lists them and where it does not.

Newer firmware of the BPMP has no list. Then the rates that are known of the SoC are offered,
together with the two ends, the cap and the rate it runs at now; the hardware rounds what it does
not have, and the read-back says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from e4_ros.energy.domains.sysfs import read_int, read_text
from e4_ros.energy.errors import DomainError

_CAPS = ('sys/kernel/nvpmodel_clk_cap/emc', 'sys/kernel/nvpmodel_emc_cap/emc_iso_cap')
_COMPATIBLE = 'proc/device-tree/compatible'

# tegra234: `CurrentFreq` of public `jetson_clocks --show` of Orin Nano. tegra194: caps of the power
# modes in NVIDIA's developer guide. tegra186: EMC_FREQ of public tegrastats of a TX2.
_KNOWN_HZ = {
    'nvidia,tegra234': (204_000_000, 665_600_000, 2_133_000_000, 3_199_000_000),
    'nvidia,tegra194': (204_000_000, 1_600_000_000, 1_866_000_000, 2_133_000_000),
    'nvidia,tegra186': (102_000_000, 1_866_000_000),
}


def cap_hz(root: Path, otherwise: int) -> int:
    """Highest rate that nvpmodel allows; `otherwise` where it sets no cap."""
    for place in _CAPS:
        if os.access(root / place, os.R_OK):
            return read_int(root / place) or otherwise
    return otherwise


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
    """
    rates = {low, high, *seen}
    try:
        socs = read_text(root / _COMPATIBLE).split('\0')
    except DomainError:
        socs = []
    for soc in socs:
        rates.update(_KNOWN_HZ.get(soc, ()))
    return tuple(sorted(rate for rate in rates if rate > 0 and low <= rate <= high))
