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

"""What the daemon watches besides steps: temperature, and clocks that others move."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from e4_ros.energy.daemon.activity import Activity
from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.realtime import set_fifo_priority
from e4_ros.energy.daemon.server import DaemonServer
from e4_ros.energy.meters.thermal import ThermalZones, ZoneReading

_log = logging.getLogger(__name__)

COOL_DOWN_C = 5.0
"""How far below its limit each zone must cool before a lease is granted again."""

_PERIOD_S = 0.1  # from one check to the next while somebody needs the clocks, or one is not back
_IDLE_PERIOD_S = 1.0
_LOOKS = 5  # at what others write, for one check, while clocks are pinned


class BoardMonitor:
    """A thread that watches the board while the server serves.

    Args:
        core: daemon core whose clocks are read and, where that failed before, restored.
        server: server that ends the leases and refuses new ones when the board is too hot.
        activity: who needs the daemon; the thread ends when that is stopped.
        root: folder that holds ``sys/``.
        over_temperature_c: temperature in °C from which on, in a zone without a lower limit of its
            own, the clocks are restored and no lease is granted.
        before: called before each look, in the thread.
        after: called after each check that succeeded, in the thread.
        priority: SCHED_FIFO priority of the thread, where permitted; 0: none. A thread without one
            could be kept from the processor while it keeps the interpreter from the steps.
    """

    def __init__(
        self,
        core: DaemonCore,
        server: DaemonServer,
        activity: Activity,
        root: str | Path,
        over_temperature_c: float = 95.0,
        before: Callable[[], None] = lambda: None,
        after: Callable[[], None] = lambda: None,
        priority: int = 0,
    ) -> None:
        self._core = core
        self._server = server
        self._activity = activity
        self._zones = ThermalZones(root, over_temperature_c)
        self._before, self._after = before, after
        self._priority = priority
        self._hot = ''
        self._thread = threading.Thread(target=self._run, name='e4-housekeeping', daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the thread, after the activity was stopped."""
        self._thread.join()

    def check(self) -> None:
        """Check temperature and clocks once, and retry what could not be restored."""
        self._check_temperature(self._zones.read())
        if self._core.problems and not self._core.recover():
            _log.info('every clock is restored now')
        elif self._core.waits_for_cpus:
            self._core.recover()
        self._server.refuse_leases(self._hot or self._core.refusal())
        if not self._core.holds_clocks:
            self._core.read_limits()
        self._core.refresh()
        self._after()

    def _check_temperature(self, zones: Sequence[ZoneReading]) -> None:
        """End the leases from the moment one zone reaches its limit until all have cooled down."""
        hot = next((zone for zone in zones if zone.temperature_c >= zone.limit_c), None)
        if hot is not None and not self._hot:
            self._hot = (
                f'the board is too hot: {hot.temperature_c:.1f} °C in zone {hot.kind}, the limit '
                f'is {hot.limit_c:g} °C; leases are granted again below '
                f'{hot.limit_c - COOL_DOWN_C:g} °C'
            )
            self._server.refuse_leases(self._hot)
            self._server.end_all(self._hot)
            _log.warning(self._hot)
        elif all(zone.temperature_c < zone.limit_c - COOL_DOWN_C for zone in zones):
            self._hot = ''

    def _run(self) -> None:
        set_fifo_priority(self._priority)
        self.check()
        looks = 0
        while self._activity.wait(self._busy_s(), self._idle_s()):
            looks += 1
            # First: what firmware changed while the machine slept is nobody's wish to be followed.
            self._before()
            self._core.follow()
            if not self._core.holds_clocks or looks >= _LOOKS:
                looks = 0
                self.check()

    def _busy_s(self) -> float:
        # Sysfs does not notify of what others write, and a limit shall bind within 50 ms.
        return _PERIOD_S / _LOOKS if self._core.holds_clocks else _PERIOD_S

    def _idle_s(self) -> float:
        return _PERIOD_S if self._core.problems or self._hot else _IDLE_PERIOD_S
