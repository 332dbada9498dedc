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

"""A simulated board: clocks under the kernel's rules, power by clocks and load, heat by power.

Besides the files of a real machine, the folder `e4/` holds what a test reads and sets:
`e4/load/DOMAIN` (a share 0 to 1, or `LOW HIGH PERIOD_S` for a square wave), `e4/energy_j` (the
exact energy, against which a meter is tested), `e4/temperature_c`, `e4/over_current` (events so
far), `e4/faults` (one on a line), `e4/writes` (the latest: seconds of CLOCK_MONOTONIC, path, text;
writing to it forgets them), and `e4/power_mode`: written with a mode's name or number it does what
`nvpmodel -m` does.
"""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

from e4_ros.energy.boards import Board, DomainSpec
from e4_ros.energy.virtual import board as board_files
from e4_ros.energy.virtual import nvpmodel
from e4_ros.energy.virtual.clock_files import CPUS, devfreq_folder, online, policies, spans
from e4_ros.energy.virtual.clocks import Attribute, EventQueue, parse_number, refuse
from e4_ros.energy.virtual.cpufreq import VirtualPolicy
from e4_ros.energy.virtual.devfreq import VirtualDevfreq
from e4_ros.energy.virtual.faults import Faults
from e4_ros.energy.virtual.memory_clock import VirtualMemoryClock
from e4_ros.energy.virtual.physics import Physics
from e4_ros.energy.virtual.sensors import monitor_attributes

Kernel = Literal['old', 'new']
_KEPT_WRITES = 5000
_Owner = VirtualPolicy | VirtualDevfreq | VirtualMemoryClock


class VirtualMachine:
    """The files of a virtual board, by path below its root; safe to use from several threads.

    Args:
        board: description of the board.
        kernel: generation of the kernel: `old` before PM QoS, `new` with it; None: the board's.
        faults: faults in force from the start.
        now: time source in seconds.

    Attributes:
        attributes: path below the root → file.
        links: path below the root → target of a symbolic link, see :meth:`linked`.
    """

    def __init__(
        self,
        board: Board,
        kernel: Kernel | None = None,
        faults: Faults | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.board = board
        self.faults = faults or Faults([])
        self._old = (kernel or board.kernel) == 'old'
        self._lock = threading.Lock()
        self._now = now
        self._writes: deque[str] = deque(maxlen=_KEPT_WRITES)
        self._physics = Physics(board)
        self._event_queue = EventQueue(now, self._physics.flow)
        self.attributes: dict[str, Attribute] = {}
        self.attributes.update(
            (path, Attribute(lambda text=text: text))  # type: ignore[misc]
            for path, text in board_files.files(board).items()
        )
        self._online = online(board)
        owners: dict[str, list[_Owner]] = {}
        for name, spec in board.domains.items():
            for owner, attributes in self._owners(spec):
                owners.setdefault(name, []).append(owner)
                self.attributes.update(attributes)
        self._policies = [o for os in owners.values() for o in os if isinstance(o, VirtualPolicy)]
        self._physics.start(owners)
        self.attributes.update(self._sensors())
        self.attributes.update(self._cpus())
        self.attributes.update(self._nvpmodel())
        self.attributes.update(self._controls())
        self.links = board_files.links(board)

    def read(self, path: str) -> bytes:
        """Content of a file.

        Raises:
            OSError: the error of a real kernel.
        """
        with self._lock:
            attribute = self._attribute(path)
            self.faults.before_read(path)
            if attribute.read is None:
                raise refuse(errno.EACCES)
            text = str(attribute.read())
        return (text if text.endswith(('\0', '\n')) else f'{text}\n').encode()

    def write(self, path: str, data: bytes) -> None:
        """Write a file.

        Raises:
            OSError: the error of a real kernel.
        """
        if (delay_s := self.faults.delay_s(path)) > 0:
            time.sleep(delay_s)
        with self._lock:
            attribute = self._attribute(path)
            lost = self.faults.before_write(path)
            if attribute.write is None:
                raise refuse(errno.EACCES)
            text = data.decode('ascii', 'replace')
            if not lost:
                attribute.write(text)
            self._writes.append(f'{self._now():.6f} {path} {text.strip()}')

    def present(self, path: str) -> bool:
        """Whether a file is there now."""
        attribute = self.attributes.get(path)
        return attribute is not None and attribute.present() and not self.faults.gone(path)

    def linked(self, path: str) -> bool:
        """Whether a link is there now; a CPU that is off has none to its policy."""
        if path not in self.links or self.faults.gone(path):
            return False
        cpu, _, name = path.removeprefix(f'{CPUS}/cpu').partition('/')
        return name != 'cpufreq' or self._online[int(cpu)]

    def _attribute(self, path: str) -> Attribute:
        if not self.present(path):
            raise refuse(errno.ENODEV)
        self._event_queue.advance()
        self._physics.throttle()
        return self.attributes[path]

    def _owners(self, spec: DomainSpec) -> Iterator[tuple[_Owner, dict[str, Attribute]]]:
        """Devices of a domain, with their files by path."""
        owner: _Owner
        if spec.kind == 'cpufreq':
            for folder, cpus in policies(spec):
                owner = VirtualPolicy(spec, cpus, self._old, self._event_queue)
                yield owner, {f'{folder}/{n}': a for n, a in owner.attributes().items()}
        elif spec.kind == 'devfreq':
            folder = devfreq_folder(spec)
            owner = VirtualDevfreq(spec, self._old, self._event_queue)
            yield owner, {f'{folder}/{n}': a for n, a in owner.attributes().items()}
        else:
            owner = VirtualMemoryClock(spec, self._event_queue)
            yield owner, owner.attributes()

    def _sensors(self) -> Iterator[tuple[str, Attribute]]:
        physics = self._physics
        for name, monitor in self.board.monitors.items():
            rails = [(r, physics.rails[r.label]) for r in self.board.rails if r.device == name]
            yield from monitor_attributes(monitor, rails)
        for index, zone in enumerate(self.board.thermal.zones):
            if zone.constant_c is None:
                path = f'{board_files.THERMAL}/thermal_zone{index}/temp'
                yield path, Attribute(lambda: round(physics.temperature_c * 1000))
        for index, kind in enumerate(self.board.cooling):
            if 'fan' not in kind:
                path = f'{board_files.THERMAL}/cooling_device{index}/cur_state'
                yield path, Attribute(lambda: int(physics.hot))

    def _cpus(self) -> Iterator[tuple[str, Attribute]]:
        for cpu in self._online:
            yield (
                f'{CPUS}/cpu{cpu}/online',
                Attribute(
                    lambda cpu=cpu: int(self._online[cpu]),  # type: ignore[misc]
                    lambda text, cpu=cpu: self._switch(cpu, text),  # type: ignore[misc]
                ),
            )
        yield f'{CPUS}/online', Attribute(lambda: spans(c for c, on in self._online.items() if on))

    def _switch(self, cpu: int, text: str) -> None:
        """Take a CPU on or off; the last one stays."""
        on = parse_number(text)
        if on > 1:
            raise refuse(errno.EINVAL)
        after = self._online | {cpu: bool(on)}
        if not any(after.values()):
            raise refuse(errno.EBUSY)
        self._online = after
        for policy in self._policies:
            policy.switch([c for c, on in after.items() if on])
        self._changed()

    def _changed(self) -> None:
        on = [cpu for cpu, on in self._online.items() if on]
        self._physics.change(self.board.with_cpus(on))

    def _nvpmodel(self) -> Iterator[tuple[str, Attribute]]:
        if not self.board.power_modes:
            return
        kept = nvpmodel.files(self.board)
        for path in kept:
            yield (
                path,
                Attribute(
                    lambda path=path: kept[path],  # type: ignore[misc]
                    lambda text, path=path: kept.update({path: text}),  # type: ignore[misc]
                ),
            )
        yield 'e4/power_mode', Attribute(lambda: self.board.mode, self._set_mode)

    def _set_mode(self, text: str) -> None:
        word = text.strip()
        ids = {str(mode.id): name for name, mode in self.board.power_modes.items()}
        name = word if word in self.board.power_modes else ids.get(word)
        if name is None:
            raise refuse(errno.EINVAL)
        self.board = self.board.in_mode(name)
        for path, line in nvpmodel.writes(self.board):
            write = self.attributes[path].write
            assert write is not None  # nvpmodel's files can all be written
            write(line)
        self._changed()

    def _controls(self) -> Iterator[tuple[str, Attribute]]:
        physics = self._physics
        for name in self.board.domains:
            yield (
                f'e4/load/{name}',
                Attribute(
                    lambda name=name: physics.loads[name],  # type: ignore[misc]
                    lambda text, name=name: physics.set_load(  # type: ignore[misc]
                        name, text, self._event_queue
                    ),
                ),
            )
        if self.board.over_current:
            events = dict.fromkeys(board_files.OVER_CURRENT, 0)
            for event in events:
                path = f'{self.board.over_current}/{event}_event_cnt'
                yield path, Attribute(lambda event=event: events[event])  # type: ignore[misc]
            yield (
                'e4/over_current',
                Attribute(
                    lambda: events['oc3'],
                    lambda text: events.update(oc3=parse_number(text)),
                ),
            )
        yield 'e4/energy_j', Attribute(lambda: repr(physics.energy_j))
        yield (
            'e4/temperature_c',
            Attribute(lambda: physics.temperature_c, self._set_temperature),
        )
        yield 'e4/writes', Attribute(lambda: '\n'.join(self._writes), self._forget_writes)
        yield 'e4/faults', Attribute(lambda: self.faults, self.faults.replace)

    def _forget_writes(self, text: str) -> None:
        self._writes.clear()

    def _set_temperature(self, text: str) -> None:
        try:
            self._physics.temperature_c = float(text)
        except ValueError:
            raise refuse(errno.EINVAL) from None
        self._physics.throttle()
