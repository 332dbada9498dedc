"""Board descriptions: clock tables, rails, power and speed, each number with its source.

A board file (``config/boards/NAME.yaml``) describes a machine that can be simulated. A number is
written ``[value, source]``; a guess says ``assumed``. Real machines are discovered, not looked up.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from e4_ros import paths

_HZ_PER_MHZ = 1_000_000


class BoardError(ValueError):
    """A board is unknown or its file is wrong; the message says where."""


class Sourced(NamedTuple):
    """A number and its source (``assumed`` where nobody published it)."""

    value: float
    source: str

    @property
    def assumed(self) -> bool:
        """Whether the number is a guess."""
        return self.source.startswith('assumed')


class _Strict(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True, defer_build=True)


class ClockTable(_Strict):
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
        return tuple(round(f * _HZ_PER_MHZ) for f in self.mhz)


class PowerModel(_Strict):
    """Power of one domain: ``static + dynamic * (f / f_top) ** exponent * activity`` (watts).

    ``activity`` is ``idle_share`` when the domain waits and 1 when it is fully busy. ``dynamic_w``
    belongs to the top of the table. The exponent stands for voltage that falls with frequency
    (between 1, fixed voltage, and 3, voltage proportional to frequency).
    """

    static_w: Sourced
    dynamic_w: Sourced
    exponent: Sourced
    idle_share: Sourced


class SwitchCost(_Strict):
    """What a clock change costs in seconds: the caller's stall, and the delay until it applies."""

    stall_s: Sourced
    effect_s: Sourced


class Compute(_Strict):
    """Speed of a processor: multiply-adds per clock cycle, and CPU cycles to start one layer."""

    macs_per_cycle: Sourced
    launch_cycles: Sourced


class DomainSpec(_Strict):
    """One domain of the board and where the kernel shows it (paths are relative to ``/``).

    Attributes:
        kind: kernel interface of the domain.
        path: ``cpufreq``: folder of the policies; ``devfreq``: folder of the device, which holds
            ``devfreq/<name>``; ``bpmp``: folder of the clock in debugfs.
        policies: ``cpufreq`` only: numbers of the CPUs of each policy.
        of_node: ``devfreq`` only: device tree name by which discovery recognises a GPU.
        driver: ``cpufreq`` only: name of the kernel's driver.
        governor: governor that the stock system runs.
        governors: all governors that the kernel offers.
        table: frequencies that the hardware offers.
        cap_mhz: highest clock of the stock power mode, where it is below the table's top.
        power: power of the domain by frequency and load.
        switch: cost of a clock change.
        compute: speed of the domain where it computes networks, else None.
    """

    kind: Literal['cpufreq', 'devfreq', 'bpmp']
    path: str
    policies: tuple[tuple[int, ...], ...] = ()
    of_node: str = ''
    driver: str = ''
    governor: str = ''
    governors: tuple[str, ...] = ()
    table: ClockTable
    cap_mhz: Sourced | None = None
    power: PowerModel
    switch: SwitchCost
    compute: Compute | None = None

    @property
    def frequencies_hz(self) -> tuple[int, ...]:
        """Ascending table in hertz."""
        return self.table.hz

    @property
    def limits_hz(self) -> tuple[int, int]:
        """Lowest and highest clock that the stock power mode allows."""
        table = self.table.hz
        if self.cap_mhz is None:
            return table[0], table[-1]
        cap = round(self.cap_mhz.value * _HZ_PER_MHZ)
        return table[0], max((f for f in table if f <= cap), default=table[0])

    @property
    def allowed_hz(self) -> tuple[int, ...]:
        """The part of the table that the stock power mode allows."""
        return tuple(f for f in self.table.hz if f <= self.limits_hz[1])

    @property
    def cores(self) -> int:
        """Number of CPUs behind the domain; 1 for anything that is not a CPU."""
        return max(sum(len(cpus) for cpus in self.policies), 1)


class Rail(_Strict):
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


class PowerMonitor(_Strict):
    """A power monitor: hwmon ``ina3221`` or ``ina238``, the older iio form, or RAPL."""

    kind: Literal['ina3221_hwmon', 'ina3221_iio', 'ina238_hwmon', 'rapl']
    path: str
    refresh_s: float = 0.007


class Thermal(_Strict):
    """First-order heating: towards ``ambient + resistance * power``, with a time constant."""

    zones: tuple[str, ...]
    resistance_c_per_w: Sourced
    time_constant_s: Sourced
    throttle_c: Sourced
    ambient_c: float = 25.0


class Memory(_Strict):
    """Speed of the memory: bytes per cycle of the ``emc`` domain, or per second without one."""

    bytes_per_cycle: Sourced | None = None
    bytes_per_s: Sourced | None = None


class Board(_Strict):
    """A machine as ``config/boards/NAME.yaml`` describes it.

    Attributes:
        name: name of the board in plans and commands; also that of its file.
        title: name of the board for people.
        model: text of ``/proc/device-tree/model`` (empty on a PC).
        kernel: ``old`` (4.9, refuses min above max) or ``new`` (5.10 and later, PM QoS).
        domains: domain name → domain.
        other_loads_w: name → watts of a constant load that no clock changes.
        memory: speed of the memory.
        monitors: name → power monitor.
        rails: channels of the power monitors.
        thermal: heating of the board.
    """

    name: str
    title: str
    model: str = ''
    kernel: Literal['old', 'new']
    domains: dict[str, DomainSpec]
    other_loads_w: dict[str, Sourced]
    memory: Memory
    monitors: dict[str, PowerMonitor] = {}
    rails: tuple[Rail, ...] = ()
    thermal: Thermal

    @model_validator(mode='after')
    def _consistent(self) -> Board:
        known = {'all', *self.domains, *self.other_loads_w}
        for rail in self.rails:
            if unknown := set(rail.loads) - known:
                raise ValueError(f'rail {rail.label}: unknown loads {sorted(unknown)}')
            if rail.device not in self.monitors:
                raise ValueError(f'rail {rail.label}: no monitor {rail.device!r}')
        if 'cpu' not in self.domains or self.domains['cpu'].compute is None:
            raise ValueError('a board needs a cpu domain that computes')
        needed = 'bytes_per_cycle' if 'emc' in self.domains else 'bytes_per_s'
        if getattr(self.memory, needed) is None:
            raise ValueError(f'memory.{needed} is missing')
        return self

    @property
    def engine(self) -> str:
        """The domain that computes the network: the GPU where there is one."""
        gpu = self.domains.get('gpu')
        return 'gpu' if gpu is not None and gpu.compute is not None else 'cpu'


def load_board(name: str) -> Board:
    """Read ``config/boards/NAME.yaml``; ``name`` may also be the path of such a file.

    Raises:
        BoardError: there is no such board, or its file does not describe one.
    """
    path = Path(name) if name.endswith('.yaml') else _boards_dir() / f'{name}.yaml'
    if not path.is_file():
        raise BoardError(f'unknown board {name!r}; known boards: {", ".join(board_names())}')
    return _read(path, path.stat().st_mtime_ns)


def board_names() -> list[str]:
    """Names of the boards that ship, sorted."""
    return sorted(p.stem for p in _boards_dir().glob('*.yaml'))


def _boards_dir() -> Path:
    return paths.config_dir() / 'boards'


@lru_cache(maxsize=32)
def _read(path: Path, _mtime_ns: int) -> Board:
    try:
        return Board.model_validate(yaml.safe_load(path.read_text()))
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BoardError(f'{path}: not a board description: {error}') from error
