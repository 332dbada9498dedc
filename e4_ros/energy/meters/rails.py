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

"""Power rails of a board: INA3221 (hwmon, and the iio form of JetPack 4) and INA238.

Sources: drivers/hwmon/ina3221.c, drivers/hwmon/ina238.c, the labels of public listings, and
docs/energy.md for which rail is a part of which. Left out: channels that are not connected, and the
sum of shunt voltages.
"""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from e4_ros.energy.domains.sysfs import KernelFile, read_text
from e4_ros.energy.errors import DomainError

_log = logging.getLogger(__name__)

INPUTS = ('VIN', 'VDD_IN', 'POM_5V_IN')
"""Rails that carry the whole board: where there is one, the others are parts of it. `VIN` is what
the carrier of a Thor takes, the module included; the others are a module's or a small board's."""

PART_OF = {'VDDQ_VDD2_1V8AO': 'VIN_SYS_5V0'}
"""Rail → rail that feeds it, where a board measures both and has no input of its own (AGX Orin)."""

_MONITORS = ('sys/bus/i2c/devices/*/hwmon/hwmon*', 'sys/class/hwmon/hwmon*')
_IIO = ('sys/bus/i2c/devices/*/iio:device*', 'sys/bus/i2c/drivers/ina3221x/*/iio:device*')
_SUM_CHANNEL = '7'
_NO_RAIL = re.compile(r'\bNC\b|^sum of ')
_BELIEVED_W = (-50.0, 2000.0)  # an offset may show a rail without current a little below zero
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
    """Labels of the rails that add up to the board, so that nothing counts twice.

    The board's input where there is one; else all but the parts of others.
    """
    labels = set(labels)
    for whole in INPUTS:
        if whole in labels:
            return {whole}
    return {label for label in labels if PART_OF.get(label) not in labels}


def _answering(folder: Path, finder: Callable[[Path], Iterator[PowerRail]]) -> Iterator[PowerRail]:
    try:
        for rail in finder(folder):
            try:
                rail.watts()
            except DomainError as error:  # a channel that is switched off answers ENODATA
                level = logging.WARNING if rail.label in INPUTS else logging.INFO
                _log.log(level, 'rail %s is left out: %s', rail.label, error)
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
        # It has one channel, and most drivers no label. The one board that is known to carry it
        # (Thor) has it at the carrier's input.
        names = (_text(folder / name) for name in ('power1_label', 'in1_label', 'label'))
        yield PowerRail(next(filter(None, names), 'VIN'), _scaled(folder / 'power1_input'))


def _iio(folder: Path) -> Iterator[PowerRail]:
    for name in sorted(folder.glob('rail_name_*')):
        k = name.name.rpartition('_')[2]
        if _wanted(read_text(name), k):
            volts, amps = folder / f'in_voltage{k}_input', folder / f'in_current{k}_input'
            yield PowerRail(read_text(name), _product(volts, amps))


def _wanted(label: str, channel: str) -> bool:
    return channel != _SUM_CHANNEL and not _NO_RAIL.search(label) and bool(label)


def _text(path: Path) -> str:
    return read_text(path) if path.exists() else ''


def _product(millivolts: Path, milliamperes: Path) -> Callable[[], float]:
    volts, amps = KernelFile(millivolts, readonly=True), KernelFile(milliamperes, readonly=True)
    return lambda: _believed(volts.read_int() * amps.read_int() * _W_PER_MV_MA, amps)


def _scaled(microwatts: Path) -> Callable[[], float]:
    file = KernelFile(microwatts, readonly=True)
    return lambda: _believed(file.read_int() * _W_PER_UW, file)


def _believed(watts: float, file: KernelFile) -> float:
    low, high = _BELIEVED_W
    if not low <= watts <= high:
        raise DomainError(errno.ERANGE, f'{file.path}: no board takes {watts:g} W')
    return watts
