"""What the helper watches besides steps: heat, joules, and clocks that others move."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.realtime import set_fifo_priority
from e4_ros.energy.daemon.server import DaemonServer
from e4_ros.energy.daemon.undo_log import UndoLogError
from e4_ros.energy.meters.meters import Meter
from e4_ros.energy.meters.thermal import hottest_c

_log = logging.getLogger(__name__)

COOL_DOWN_C = 5.0
"""How far below the limit the board must cool before a lease is given out again."""


class Housekeeper:
    """A thread that looks after the board while the server serves.

    Args:
        meter: what counts joules, if anything does; sampled by this thread.
        over_temperature_c: from this on, originals come back and no lease is given out.
        energy_period_s: how often the status page gets new joules.
        look_period_s: how often temperature and clocks are looked at.
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
        energy_period_s: float = 0.02,
        look_period_s: float = 0.1,
        priority: int = 0,
    ) -> None:
        self._core = core
        self._server = server
        self._page = page
        self._root = root
        self._meter = meter
        self._limit_c = over_temperature_c
        self._period_s = min(energy_period_s, meter.period_s) if meter else energy_period_s
        self._priority = priority
        self._look_period_s = look_period_s
        self._hot = ''
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name='e4-housekeeping', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def look(self) -> None:
        """One look at temperature, clocks and what has not come back."""
        hottest = hottest_c(self._root)
        if hottest is not None:
            self._judge(hottest)
        if self._core.ownership.problems:
            self._try_again()
        self._server.leases.refuse(self._hot or self._core.ownership.why_not())
        self._core.refresh()

    def _judge(self, hottest_c: float) -> None:
        if hottest_c >= self._limit_c and not self._hot:
            self._hot = (
                f'the board is too hot: {hottest_c:.1f} °C, the limit is {self._limit_c:g} °C; '
                f'leases are given out again below {self._limit_c - COOL_DOWN_C:g} °C'
            )
            self._server.leases.refuse(self._hot)
            if (lease := self._server.leases.holder) is not None:
                self._server.end(lease, self._hot)
            _log.warning(self._hot)
        elif hottest_c < self._limit_c - COOL_DOWN_C:
            self._hot = ''

    def _try_again(self) -> None:
        try:
            if not self._core.recover():
                _log.info('everything came back now')
        except UndoLogError as error:
            self._core.ownership.problems = [str(error)]

    def _run(self) -> None:
        set_fifo_priority(self._priority)
        next_look = 0.0
        while not self._stopping.wait(self._period_s):
            if self._meter is not None:
                reading = self._meter.read()
                self._page.set_energy(reading.energy_j, reading.source)
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + self._look_period_s
                self.look()
