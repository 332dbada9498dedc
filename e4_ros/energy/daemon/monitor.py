"""What the daemon watches besides steps: temperature, joules, and clocks that others move."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.realtime import set_fifo_priority
from e4_ros.energy.daemon.server import DaemonServer
from e4_ros.energy.meters.meters import Meter
from e4_ros.energy.meters.thermal import ThermalZones, ZoneReading

_log = logging.getLogger(__name__)

COOL_DOWN_C = 5.0
"""How far below its limit each zone must cool before a lease is granted again."""

_ENERGY_PERIOD_S = 0.02  # the longest time between two values of joules on the status page
_CHECK_PERIOD_S = 0.1  # from one check of temperature and clocks to the next


class BoardMonitor:
    """A thread that watches the board while the server serves.

    Args:
        core: daemon core whose clocks are read and, where that failed before, restored.
        server: server that ends the lease and refuses new ones when the board is too hot.
        page: status page that shows the joules.
        root: folder that holds ``sys/``.
        meter: energy meter, sampled by this thread; None where nothing counts joules.
        over_temperature_c: temperature in °C from which on, in a zone without a lower limit of its
            own, the clocks are restored and no lease is granted.
        priority: SCHED_FIFO priority of the thread, where permitted; 0: none. A thread without one
            could be kept from the processor while it keeps the interpreter from the steps.
    """

    def __init__(
        self,
        core: DaemonCore,
        server: DaemonServer,
        page: PageWriter,
        root: str | Path,
        meter: Meter | None = None,
        over_temperature_c: float = 95.0,
        priority: int = 0,
    ) -> None:
        self._core = core
        self._server = server
        self._page = page
        self._zones = ThermalZones(root, over_temperature_c)
        self._meter = meter
        self._period_s = min(_ENERGY_PERIOD_S, meter.period_s) if meter else _ENERGY_PERIOD_S
        self._priority = priority
        self._hot = ''
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name='e4-housekeeping', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def check(self) -> None:
        """Check temperature and clocks once, and retry what could not be restored."""
        self._check_temperature(self._zones.read())
        if self._core.problems and not self._core.recover():
            _log.info('every clock is restored now')
        self._server.refuse_leases(self._hot or self._core.refusal())
        self._core.refresh()

    def _check_temperature(self, zones: Sequence[ZoneReading]) -> None:
        """End the lease from the moment one zone reaches its limit until all have cooled down."""
        hot = next((zone for zone in zones if zone.temperature_c >= zone.limit_c), None)
        if hot is not None and not self._hot:
            self._hot = (
                f'the board is too hot: {hot.temperature_c:.1f} °C in zone {hot.kind}, the limit '
                f'is {hot.limit_c:g} °C; leases are granted again below '
                f'{hot.limit_c - COOL_DOWN_C:g} °C'
            )
            self._server.refuse_leases(self._hot)
            if (lease := self._server.holder) is not None:
                self._server.end(lease, self._hot)
            _log.warning(self._hot)
        elif all(zone.temperature_c < zone.limit_c - COOL_DOWN_C for zone in zones):
            self._hot = ''

    def _run(self) -> None:
        set_fifo_priority(self._priority)
        next_look = 0.0
        while not self._stopping.wait(self._period_s):
            if self._meter is not None:
                reading = self._meter.read()
                self._page.set_energy(reading.energy_j, reading.source)
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + _CHECK_PERIOD_S
                self.check()
