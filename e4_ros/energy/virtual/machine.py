"""A simulated board: clocks under the kernel's rules, power by clocks and load, heat by power.

Besides the files of a real machine, the folder `e4/` holds what a test reads and sets:
`e4/load/DOMAIN` (a share 0 to 1, or `LOW HIGH PERIOD_S` for a square wave), `e4/energy_j` (the
exact energy, against which a meter is tested), `e4/temperature_c`, and `e4/faults` (one on a line).
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

from e4_ros.energy.boards import Board, DomainSpec
from e4_ros.energy.virtual import board as board_files
from e4_ros.energy.virtual.clocks import Attribute, EventQueue, refuse
from e4_ros.energy.virtual.cpufreq import VirtualPolicy
from e4_ros.energy.virtual.devfreq import VirtualBpmpClock, VirtualDevfreq
from e4_ros.energy.virtual.faults import Faults
from e4_ros.energy.virtual.physics import Physics
from e4_ros.energy.virtual.sensors import monitor_attributes

Kernel = Literal['old', 'new']
_Owner = VirtualPolicy | VirtualDevfreq | VirtualBpmpClock


class VirtualMachine:
    """The files of a virtual board, by path below its root; safe to use from several threads.

    Args:
        board: description of the board.
        kernel: generation of the kernel: `old` before PM QoS, `new` with it; None: the board's.
        faults: faults in force from the start.
        now: time source in seconds.

    Attributes:
        attributes: path below the root → file.
        links: path below the root → target of a symbolic link.
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
        self._physics = Physics(board)
        self._event_queue = EventQueue(now, self._physics.flow)
        self.attributes: dict[str, Attribute] = {}
        self.attributes.update(
            (path, Attribute(lambda text=text: text))  # type: ignore[misc]
            for path, text in board_files.files(board).items()
        )
        owners: dict[str, list[_Owner]] = {}
        for name, spec in board.domains.items():
            for folder, owner in self._owners(spec):
                owners.setdefault(name, []).append(owner)
                for file, attribute in owner.attributes().items():
                    self.attributes[f'{folder}/{file}'] = attribute
        self._physics.start(owners)
        self.attributes.update(self._sensors())
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
        time.sleep(self.faults.delay_s(path))
        with self._lock:
            attribute = self._attribute(path)
            lost = self.faults.before_write(path)
            if attribute.write is None:
                raise refuse(errno.EACCES)
            if not lost:
                attribute.write(data.decode('ascii', 'replace'))

    def present(self, path: str) -> bool:
        """Whether a file is there now."""
        attribute = self.attributes.get(path)
        return attribute is not None and attribute.present() and not self.faults.gone(path)

    def _attribute(self, path: str) -> Attribute:
        if not self.present(path):
            raise refuse(errno.ENODEV)
        self._event_queue.advance()
        self._physics.throttle()
        return self.attributes[path]

    def _owners(self, spec: DomainSpec) -> Iterator[tuple[str, _Owner]]:
        if spec.kind == 'cpufreq':
            for folder, cpus in board_files.policies(spec):
                yield folder, VirtualPolicy(spec, cpus, self._old, self._event_queue)
        elif spec.kind == 'devfreq':
            device = board_files.devfreq_folder(spec)
            yield device, VirtualDevfreq(spec, self._old, self._event_queue)
        else:
            yield spec.path, VirtualBpmpClock(spec, self._event_queue)

    def _sensors(self) -> Iterator[tuple[str, Attribute]]:
        physics = self._physics
        for name, monitor in self.board.monitors.items():
            rails = [(r, physics.rails[r.label]) for r in self.board.rails if r.device == name]
            yield from monitor_attributes(monitor, rails)
        for zone, _ in enumerate(self.board.thermal.zones):
            path = f'sys/class/thermal/thermal_zone{zone}/temp'
            yield path, Attribute(lambda: round(physics.temperature_c * 1000))

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
        yield 'e4/energy_j', Attribute(lambda: repr(physics.energy_j))
        yield (
            'e4/temperature_c',
            Attribute(lambda: physics.temperature_c, self._set_temperature),
        )
        yield 'e4/faults', Attribute(lambda: self.faults, self.faults.replace)

    def _set_temperature(self, text: str) -> None:
        try:
            self._physics.temperature_c = float(text)
        except ValueError:
            raise refuse(errno.EINVAL) from None
        self._physics.throttle()
