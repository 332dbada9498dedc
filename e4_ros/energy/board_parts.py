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

"""The parts of a board description: sourced numbers, domains, power modes, rails, heat, idle.

A number is written ``[value, source]``; a guess says ``assumed``. `boards` puts the parts together.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

HZ_PER_MHZ = 1_000_000


class Sourced(NamedTuple):
    """A number and its source (``assumed`` where nobody published it)."""

    value: float
    source: str

    @property
    def assumed(self) -> bool:
        """Whether the number is a guess."""
        return self.source.startswith('assumed')

    def times(self, factor: float) -> Sourced:
        """The number times a factor, with the same source."""
        return Sourced(self.value * factor, self.source)


class Strict(BaseModel):
    """A part of a board file: unknown keys are refused, nothing changes once read."""

    model_config = ConfigDict(extra='forbid', frozen=True, defer_build=True)


class ClockTable(Strict):
    """The frequencies a domain offers, in MHz as datasheets write them."""

    mhz: tuple[float, ...] = Field(min_length=1)
    source: str

    @model_validator(mode='after')
    def _ascending(self) -> ClockTable:
        if any(a >= b for a, b in zip(self.mhz, self.mhz[1:], strict=False)) or self.mhz[0] <= 0:
            raise ValueError('frequencies must be positive and ascending')
        return self

    @cached_property
    def hz(self) -> tuple[int, ...]:
        """The same table in hertz."""
        return tuple(round(f * HZ_PER_MHZ) for f in self.mhz)


class PowerModel(Strict):
    """Power of one domain: ``static + dynamic * (f / f_top) ** exponent * activity`` (watts).

    ``activity`` is ``idle_share`` when the domain waits and 1 when it is fully busy. ``dynamic_w``
    belongs to the top of the table. The exponent stands for voltage that falls with frequency
    (between 1, fixed voltage, and 3, voltage proportional to frequency).
    """

    static_w: Sourced
    dynamic_w: Sourced
    exponent: Sourced
    idle_share: Sourced

    def at_top(self, factor: float) -> PowerModel:
        """The same power, written for a table whose top is ``factor`` times this one's."""
        scale = factor**self.exponent.value
        return self.model_copy(update={'dynamic_w': self.dynamic_w.times(scale)})


class SwitchCost(Strict):
    """What a clock change costs in seconds: the caller's stall, and the delay until it applies."""

    stall_s: Sourced
    effect_s: Sourced


class Compute(Strict):
    """Speed of a processor.

    Attributes:
        macs_per_cycle: multiply-adds per clock cycle of all cores and units.
        launch_cycles: CPU cycles to start one layer.
        units: units that a power mode can switch off one by one (a GPU's TPCs); 0: none.
    """

    macs_per_cycle: Sourced
    launch_cycles: Sourced
    units: int = Field(default=0, ge=0)


class DomainSpec(Strict):
    """One domain of the board and where the kernel shows it (paths are relative to ``/``).

    Attributes:
        kind: kernel interface of the domain.
        path: ``cpufreq``: folder of the policies; ``devfreq``: folder of the device, which holds
            ``devfreq/<name>``; ``bpmp``: folder of the clock in debugfs; ``tegra210``: folder of
            the clock that overrides the memory's, in debugfs.
        policies: ``cpufreq`` only: numbers of the CPUs of each policy.
        name: ``devfreq`` only: ``<name>``, where it is not that of the device's folder.
        of_node: ``devfreq`` only: device tree name by which discovery recognises a GPU.
        rates: ``bpmp`` and ``tegra210`` only: file in which the kernel lists the rates, in kHz.
        cap: ``bpmp`` and ``tegra210`` only: file with which nvpmodel caps the clock.
        driver: ``cpufreq`` only: name of the kernel's driver.
        governor: governor that the stock system runs.
        governors: all governors that the kernel offers.
        table: frequencies that the hardware offers.
        power: power of the domain by frequency and load.
        switch: cost of a clock change.
        compute: speed of the domain where it computes networks, else None.
        limits_mhz: lowest and highest clock allowed; a board's power mode sets it, not its file.
        cpus_online: numbers of the CPUs that are on, None for all; set by the power mode as well.
        units_online: number of the units (``compute.units``) that are on, None for all; likewise.
    """

    kind: Literal['cpufreq', 'devfreq', 'bpmp', 'tegra210', 'nvml']
    path: str
    policies: tuple[tuple[int, ...], ...] = ()
    name: str = ''
    of_node: str = ''
    rates: str = ''
    cap: str = ''
    driver: str = ''
    governor: str = ''
    governors: tuple[str, ...] = ()
    table: ClockTable
    power: PowerModel
    switch: SwitchCost
    compute: Compute | None = None
    limits_mhz: tuple[float, float] | None = None
    cpus_online: tuple[int, ...] | None = None
    units_online: int | None = None

    @property
    def frequencies_hz(self) -> tuple[int, ...]:
        """Ascending table in hertz."""
        return self.table.hz

    @property
    def written_hz(self) -> tuple[int, int]:
        """The limits as nvpmodel writes them, which need not be in the table."""
        low, high = self.limits_mhz or (self.table.mhz[0], self.table.mhz[-1])
        return round(low * HZ_PER_MHZ), round(high * HZ_PER_MHZ)

    @property
    def limits_hz(self) -> tuple[int, int]:
        """Lowest and highest clock of the table that the power mode allows."""
        table, (floor, cap) = self.table.hz, self.written_hz
        high = max((f for f in table if f <= cap), default=table[0])
        return min((f for f in table if floor <= f <= high), default=high), high

    @property
    def allowed_hz(self) -> tuple[int, ...]:
        """The part of the table that the power mode allows."""
        low, high = self.limits_hz
        return tuple(f for f in self.table.hz if low <= f <= high)

    @property
    def cpus(self) -> tuple[int, ...]:
        """Numbers of the CPUs that are on; empty for anything that is not a CPU."""
        on = self.cpus_online
        every = (cpu for cpus in self.policies for cpu in cpus)
        return tuple(sorted(cpu for cpu in every if on is None or cpu in on))

    @property
    def cores(self) -> int:
        """Number of CPUs that are on behind the domain; 1 for anything that is not a CPU."""
        return max(len(self.cpus), 1)

    @property
    def share(self) -> float:
        """Share of the domain's cores or units that is on; the rest neither computes nor draws."""
        if self.policies:
            return len(self.cpus) / sum(map(len, self.policies))
        units = self.compute.units if self.compute is not None else 0
        return 1.0 if self.units_online is None or not units else self.units_online / units

    @property
    def macs_per_cycle(self) -> float:
        """Multiply-adds per clock cycle of what is on; 0 where the domain computes no networks."""
        return self.compute.macs_per_cycle.value * self.share if self.compute is not None else 0.0


class PowerMode(Strict):
    """A power mode of the board, as ``nvpmodel -m`` sets one.

    Attributes:
        id: number of the mode.
        limits_mhz: domain → lowest and highest clock, None for the table's own end; a domain that
            is missing keeps its whole table.
        cpus_online: numbers of the CPUs that the mode leaves on; None: all.
        gpu_tpcs: number of the GPU's TPCs that it leaves on; None: all.
        source: where the mode is written.
    """

    id: int
    limits_mhz: dict[str, tuple[float | None, float | None]] = {}
    cpus_online: tuple[int, ...] | None = Field(default=None, min_length=1)
    gpu_tpcs: int | None = Field(default=None, ge=1)
    source: str


class Rail(Strict):
    """One channel of a power monitor and the loads behind it.

    Attributes:
        label: name of the rail.
        loads: names of domains and of ``other_loads_w``; the word ``all`` for the board's input.
        volts: nominal voltage.
        device: name of the monitor among the board's ``monitors``.
        channel: channel of the monitor (1 to 3 on an INA3221).
    """

    label: str
    loads: tuple[str, ...]
    volts: float = 5.0
    device: str = ''
    channel: int = 1


class PowerMonitor(Strict):
    """A power monitor: hwmon ``ina3221`` or ``ina238``, the older iio form, or RAPL."""

    kind: Literal['ina3221_hwmon', 'ina3221_iio', 'ina238_hwmon', 'rapl']
    path: str
    refresh_s: float = 0.007


class Trip(NamedTuple):
    """A trip point of a thermal zone: from ``c`` degrees on the kernel does what ``kind`` says."""

    kind: Literal['passive', 'hot', 'critical', 'active']
    c: float


class Zone(Strict):
    """A thermal zone.

    Attributes:
        type: text of the zone's ``type``.
        trips: its trip points, in the kernel's order.
        constant_c: what a zone always reads that measures nothing (``PMIC-Die``), in °C.
    """

    type: str
    trips: tuple[Trip, ...] = ()
    constant_c: float | None = None


class Thermal(Strict):
    """First-order heating: towards ``ambient + resistance * power``, with a time constant.

    ``source`` says where the zones and their trips are written.
    """

    zones: tuple[Zone, ...]
    source: str = 'assumed'
    resistance_c_per_w: Sourced
    time_constant_s: Sourced
    throttle_c: Sourced
    ambient_c: float = 25.0


class IdleState(Strict):
    """A state that the waiting board can fall into.

    Attributes:
        name: name of the state.
        min_residency_s: shortest wait in seconds for which it pays.
        exit_latency_s: seconds to leave it.
        saves: load → share of that load's idle power that the state saves.
    """

    name: str
    min_residency_s: Sourced
    exit_latency_s: Sourced
    saves: dict[str, Sourced] = {}


class Memory(Strict):
    """Speed of the memory: bytes per cycle of the ``emc`` domain, or per second without one."""

    bytes_per_cycle: Sourced | None = None
    bytes_per_s: Sourced | None = None
