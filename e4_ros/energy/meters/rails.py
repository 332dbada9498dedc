"""Power rails of a board: INA3221 (hwmon, and the iio form of JetPack 4) and INA238.

Sources: drivers/hwmon/ina3221.c, drivers/hwmon/ina238.c; the iio names and what to leave out
(unconnected channels, the sum on channel 7) are what jetson-stats 7.2 has seen.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from e4_ros.energy.domains.sysfs import KernelFile, read_text
from e4_ros.energy.errors import DomainError

_log = logging.getLogger(__name__)

TOTALS = ('VDD_IN', 'POM_5V_IN')
"""Rails that carry the whole board: where there is one, the others are parts of it."""

_MONITORS = ('sys/bus/i2c/devices/*/hwmon/hwmon*', 'sys/class/hwmon/hwmon*')
_IIO = ('sys/bus/i2c/devices/*/iio:device*', 'sys/bus/i2c/drivers/ina3221x/*/iio:device*')
_SUM_CHANNEL = '7'
_W_PER_MV_MA = 1e-6
_W_PER_UW = 1e-6


@dataclass(frozen=True, slots=True)
class PowerRail:
    """One channel of a power monitor.

    Attributes:
        label: name of the rail.
        watts: function that reads the power in watts; raises `DomainError` if it cannot.
    """

    label: str
    watts: Callable[[], float]


def find_rails(root: str | Path = '/') -> list[PowerRail]:
    """The rails below `root` that answer, each once; those that do not are logged and left out."""
    root = Path(root)
    rails: dict[str, PowerRail] = {}
    seen: set[Path] = set()
    for places, finder in ((_MONITORS, _hwmon), (_IIO, _iio)):
        for folder in (f for place in places for f in sorted(root.glob(place))):
            if folder.resolve() in seen:
                continue
            seen.add(folder.resolve())
            for rail in _answering(folder, finder):
                rails.setdefault(rail.label, rail)
    return list(rails.values())


def counted(labels: Iterable[str]) -> set[str]:
    """Labels of the rails that add up to the board: the total if there is one, else all."""
    labels = set(labels)
    for total in TOTALS:
        if total in labels:
            return {total}
    return labels


def _answering(folder: Path, finder: Callable[[Path], Iterator[PowerRail]]) -> Iterator[PowerRail]:
    try:
        for rail in finder(folder):
            try:
                rail.watts()
            except DomainError as error:  # a channel that is switched off answers ENODATA
                _log.info('rail %s is left out: %s', rail.label, error)
            else:
                yield rail
    except DomainError as error:
        _log.warning('a power monitor is left out: %s', error)


def _hwmon(folder: Path) -> Iterator[PowerRail]:
    chip = _text(folder / 'name')
    if chip == 'ina3221':
        for label in sorted(folder.glob('in*_label')):
            k = label.name.removeprefix('in').removesuffix('_label')
            amps = folder / f'curr{k}_input'
            if _wanted(read_text(label), k) and amps.exists():
                yield PowerRail(read_text(label), _product(folder / f'in{k}_input', amps))
    elif chip == 'ina238':
        for power in sorted(folder.glob('power*_input')):
            name = _text(power.with_name(power.name.replace('_input', '_label')))
            yield PowerRail(name or folder.name, _scaled(power, _W_PER_UW))


def _iio(folder: Path) -> Iterator[PowerRail]:
    for name in sorted(folder.glob('rail_name_*')):
        k = name.name.rpartition('_')[2]
        if _wanted(read_text(name), k):
            volts, amps = folder / f'in_voltage{k}_input', folder / f'in_current{k}_input'
            yield PowerRail(read_text(name), _product(volts, amps))


def _wanted(label: str, channel: str) -> bool:
    return channel != _SUM_CHANNEL and not re.search(r'\bNC\b', label) and bool(label)


def _text(path: Path) -> str:
    return read_text(path) if path.exists() else ''


def _product(millivolts: Path, milliamperes: Path) -> Callable[[], float]:
    volts, amps = KernelFile(millivolts, readonly=True), KernelFile(milliamperes, readonly=True)
    return lambda: volts.read_int() * amps.read_int() * _W_PER_MV_MA


def _scaled(path: Path, unit: float) -> Callable[[], float]:
    file = KernelFile(path, readonly=True)
    return lambda: file.read_int() * unit
