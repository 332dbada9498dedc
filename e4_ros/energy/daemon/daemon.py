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

"""The whole daemon, assembled: what the ROS node, `e4 dvfs serve` and the benchmark start."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from e4_ros.energy.boards import board_names
from e4_ros.energy.client.protocol import default_socket_path, runtime_dir
from e4_ros.energy.client.status_page import DaemonState, PageWriter
from e4_ros.energy.daemon import state_folders
from e4_ros.energy.daemon.activity import Activity
from e4_ros.energy.daemon.board_lock import BoardLock
from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.energy_sampler import EnergySampler
from e4_ros.energy.daemon.monitor import BoardMonitor
from e4_ros.energy.daemon.recovery import recover_all
from e4_ros.energy.daemon.server import DaemonServer
from e4_ros.energy.daemon.service_manager import ServiceManager
from e4_ros.energy.daemon.sleep_guard import SleepGuard
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.domains.discovery import discover_some
from e4_ros.energy.identify import identify, known_board
from e4_ros.energy.meters.meters import open_meter

_log = logging.getLogger(__name__)


class DaemonConfig(BaseModel):
    """Settings of a daemon.

    Attributes:
        root: folder that holds ``sys/``; anything but ``/`` is a simulated board.
        board: name of the board that plans must be made for; empty: found by `identify`.
        state_dir: folder of the undo log, writable by this user only, as is every folder above.
        socket_path: path of the socket that clients connect to.
        group: name of the group whose members may connect; empty: only this user.
        limits_hz: domain → lowest and highest frequency in hertz, besides the machine's own limits.
        watchdog_s: seconds without a step after which the clocks are restored.
        idle_lease_s: seconds without a step after which a lease ends if it leaves another client no
            room, as the exclusive one of a process that was stopped.
        over_temperature_c: temperature in °C from which on the clocks are restored and no lease is
            granted.
        isochronous_floor: share of the memory's highest clock, 0 to 1, that it keeps while a
            display is on or a camera on CSI streams; 0: nobody looks for such.
        spare_cpus: numbers of the CPUs that may be switched off while leases need fewer.
        priority: SCHED_FIFO priority of the thread that applies steps, where permitted; 0: none.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    root: Annotated[Path, AfterValidator(Path.absolute)] = Path('/')
    board: str = ''
    state_dir: Path = Field(default_factory=runtime_dir)
    socket_path: Path = Field(default_factory=default_socket_path)
    group: str = ''
    limits_hz: dict[str, tuple[int, int]] = {}
    watchdog_s: Annotated[float, Field(ge=0.05, le=3600)] = 2.0
    idle_lease_s: Annotated[float, Field(ge=0.1, le=86400)] = 30.0
    over_temperature_c: Annotated[float, Field(ge=30, le=130)] = 95.0
    isochronous_floor: Annotated[float, Field(ge=0, le=1)] = 1.0
    spare_cpus: tuple[int, ...] = ()
    priority: Annotated[int, Field(ge=0, le=50)] = 10


class Daemon:
    """A running daemon; :meth:`stop` (or the end of the ``with`` block) restores every clock.

    Raises:
        DaemonRunning: another daemon holds the board or works with the state folder.
        UndoLogError: the undo log of an earlier daemon is damaged or another machine's.
        SocketPathError: the socket cannot be made.
        DomainError: the machine has no frequency domain.
        ValueError: the limits name an unknown domain or leave one no frequency.
    """

    def __init__(self, config: DaemonConfig) -> None:
        self.config = config
        board = config.board or identify(config.root)
        self._stopped = False
        self._board_lock = BoardLock(config.root)
        self._undo_log = UndoLog(config.state_dir)
        try:
            self._undo_log.lock()
            self._board_lock.lock()
            state_folders.note(self._undo_log.directory)
            # Before discovery, which takes the limits it finds for the machine's own.
            problems = recover_all(self._undo_log, board, config.root)
            domains = discover_some(config.root)
            self.page = PageWriter()
            self.page.set_looked(time.monotonic_ns())
            self.activity = Activity()
            self.core = DaemonCore(
                board,
                config.root,
                domains,
                self._undo_log,
                self.page,
                config.limits_hz,
                problems,
                config.isochronous_floor,
                config.spare_cpus,
            )
            self.server = DaemonServer(
                self.core,
                self.page,
                self.activity,
                config.socket_path,
                config.group,
                config.watchdog_s,
                config.priority,
                config.idle_lease_s,
            )
        except BaseException:
            self._unlock()
            raise
        described = known_board(board, config.root) if board in board_names() else None
        self.meter = open_meter(config.root, described, start=False)
        priority = min(1, config.priority)
        self._service_manager = ServiceManager()
        self._sleep_guard = SleepGuard(self.core, self._undo_log.directory)
        self._monitor = BoardMonitor(
            self.core,
            self.server,
            self.activity,
            config.root,
            config.over_temperature_c,
            before=self._sleep_guard.look,
            after=self._looked,
            priority=priority,
        )
        self._sampler = None
        if self.meter is not None:
            self._sampler = EnergySampler(self.meter, self.page, self.activity, priority)
        self._service_manager.ready()
        _log.info('%s: %s', board, ', '.join(map(repr, domains)))

    def stop(self) -> None:
        """End the lease, restore every clock, close the socket. May be called twice."""
        if self._stopped:
            return
        self._stopped = True
        self.server.stop()
        self.activity.stop()
        self._monitor.join()
        if self._sampler is not None:
            self._sampler.join()
        if self.meter is not None:
            self.meter.close()
        self.page.set_state(DaemonState.CLOSED)
        self.page.close()
        self._sleep_guard.close()
        self._unlock()
        self._service_manager.stopped()

    def _looked(self) -> None:
        """The board was looked at, through the same locks as steps: nothing hangs."""
        self.page.set_looked(time.monotonic_ns())
        self._service_manager.alive()

    def _unlock(self) -> None:
        if self._board_lock.held and not self._undo_log.exists():
            state_folders.forget(self._undo_log.directory)
        self._board_lock.unlock()
        self._undo_log.close()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def parse_limits(texts: list[str]) -> dict[str, tuple[int, int]]:
    """Limits from texts like ``gpu=306000000..612000000`` (hertz).

    Raises:
        ValueError: a text is not of that form.
    """
    limits = {}
    for text in texts:
        name, _, span = text.partition('=')
        low, _, high = span.partition('..')
        try:
            limits[name.strip()] = (int(low), int(high))
        except ValueError:
            raise ValueError(
                f'limit {text!r} is not like gpu=306000000..612000000 (hertz)'
            ) from None
    return limits
