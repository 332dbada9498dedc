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

"""Public listings: what the sysfs and procfs of real machines were published to hold.

One file of `listings/` is one machine: blocks of files, each with its public source and, in words,
what the source does not show (`filler`), and what must be found there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

FOLDER = Path(__file__).with_name('listings')


def _expanded(table: object) -> object:
    """A table in which `'low..high/step'` stands for the numbers from low to high."""
    if not isinstance(table, list):
        return table
    numbers: list[Any] = []
    for entry in table:
        if isinstance(entry, str):
            span, _, step = entry.partition('/')
            low, _, high = span.partition('..')
            numbers.extend(range(int(low), int(high) + 1, int(step)))
        else:
            numbers.append(entry)
    return numbers


Table = Annotated[tuple[int, ...], BeforeValidator(_expanded)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class Policy(_Strict):
    """A folder `sys/devices/system/cpu/cpufreq/policyN`; numbers in kHz, as the kernel shows them.

    Attributes:
        cpus: numbers of its CPUs; the first is the policy's number.
        online: whether its CPUs are online.
        capacity: `cpu_capacity` of each CPU; None where the machine shows none.
        driver: `scaling_driver`.
        governor: `scaling_governor`.
        governors: `scaling_available_governors`.
        khz: `scaling_available_frequencies` in the order of the listing; empty: no such file.
        hardware: `cpuinfo_min_freq` and `cpuinfo_max_freq`; empty: the ends of the table.
        limits: `scaling_min_freq` and `scaling_max_freq`; empty: those of the hardware.
        now: `scaling_cur_freq`; 0: the lower limit.
        files: other files of the folder.
    """

    cpus: Table
    online: bool = True
    capacity: int | None = None
    driver: str
    governor: str
    governors: str
    khz: Table = ()
    hardware: tuple[int, int] | tuple[()] = ()
    limits: tuple[int, int] | tuple[()] = ()
    now: int = 0
    files: dict[str, str | int] = {}


class Devfreq(_Strict):
    """A devfreq device; numbers in hertz.

    Attributes:
        device: folder of the device, which holds `devfreq/NAME`.
        name: name of the devfreq folder; empty: that of the device.
        of_node: `name` of the device-tree node; empty: it has none.
        governor: `governor`.
        hz: `available_frequencies`.
        limits: `min_freq` and `max_freq`; empty: the ends of the table.
        now: `cur_freq`; None: the lower limit.
        files: other files of the folder.
    """

    device: str
    name: str = ''
    of_node: str = ''
    governor: str
    governors: str = ''
    hz: Table
    limits: tuple[int, int] | tuple[()] = ()
    now: int | None = None
    files: dict[str, str | int] = {}


class Trip(_Strict):
    """A trip point: its type and its temperature in millidegrees Celsius."""

    type: str
    temp: int


class Zone(_Strict):
    """A thermal zone; `temp` is its text, in millidegrees where it is a number."""

    type: str
    temp: str | int
    trips: tuple[Trip, ...] = ()


class Channel(_Strict):
    """A channel of a monitor: number, label (None: no such file), millivolts, milliamperes."""

    k: int
    label: str | None
    mv: int
    ma: int


class Monitor(_Strict):
    """A power monitor on an I2C bus.

    Attributes:
        device: bus and address, such as `1-0040`.
        chip: name that the driver shows.
        form: interface of its driver.
        index: number of the hwmon folder or of the iio device.
        channels: what it measures.
        files: other files of the hwmon folder or of the iio device.
    """

    device: str
    chip: str = 'ina3221'
    form: Literal['hwmon', 'iio'] = 'hwmon'
    index: int
    channels: tuple[Channel, ...] = ()
    files: dict[str, str | int] = {}


class Block(_Strict):
    """Files of one public source.

    Attributes:
        source: where the source can be read.
        filler: what the source does not show and was filled in; empty: nothing.
        files: path below the root → text; a line end is added unless it ends with NUL.
        cpufreq: cpufreq policies.
        devfreq: devfreq devices.
        zones: thermal zones, in the order of their numbers.
        monitors: power monitors.
    """

    source: str = Field(min_length=8)
    filler: str = ''
    files: dict[str, str | int] = {}
    cpufreq: tuple[Policy, ...] = ()
    devfreq: tuple[Devfreq, ...] = ()
    zones: tuple[Zone, ...] = ()
    monitors: tuple[Monitor, ...] = ()


class Found(_Strict):
    """What discovery must find of one domain, in MHz.

    Attributes:
        kind: kernel interface.
        points: number of entries of the table.
        table: its ends.
        allowed_points: number of entries within the limits.
        allowed: ends of the part within the limits.
        writes: most writes that one change of the clock may take.
    """

    kind: str
    points: int
    table: tuple[float, float]
    allowed_points: int
    allowed: tuple[float, float]
    writes: int


class Expected(_Strict):
    """What must be found on a machine.

    Attributes:
        board: name of the board.
        mode: power mode that nvpmodel's files show, as `SeenMode.key` says it; empty: none.
        domains: domain → what must be found of it.
        total: labels of the rails that add up to the whole board; empty: there is no meter.
        watts: their sum.
    """

    board: str
    mode: str = ''
    domains: dict[str, Found]
    total: tuple[str, ...] = ()
    watts: float = 0.0


class Listing(_Strict):
    """One machine.

    Attributes:
        name: name of the listing's file.
        title: the machine, for people.
        blocks: its files.
        expect: what must be found.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    expect: Expected

    @property
    def sources(self) -> tuple[str, ...]:
        """Where its blocks can be read, each once."""
        return tuple(dict.fromkeys(block.source for block in self.blocks))


def names() -> list[str]:
    """Names of the listings that ship, sorted."""
    return sorted(path.stem for path in FOLDER.glob('*.yaml'))


def load(name: str) -> Listing:
    """Read `listings/NAME.yaml`."""
    text = (FOLDER / f'{name}.yaml').read_text()
    return Listing.model_validate({'name': name, **yaml.safe_load(text)})
