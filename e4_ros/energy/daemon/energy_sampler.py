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

"""The joules on the status page: a thread that samples the meter for whoever needs them."""

from __future__ import annotations

import threading

from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.activity import Activity
from e4_ros.energy.daemon.realtime import set_fifo_priority
from e4_ros.energy.meters.meters import Meter

IDLE_PERIOD_S = 2.0
"""From one sample to the next while nobody needs joules."""

_LONGEST_PERIOD_S = 0.02  # between two values of joules on the page while somebody does


class EnergySampler:
    """Reads a meter as often as it has new values while anybody is busy, and seldom otherwise.

    Args:
        meter: energy meter; this thread is its only one.
        page: status page that shows the joules.
        activity: who needs the daemon.
        priority: SCHED_FIFO priority of the thread, where permitted; 0: none. A thread without one
            could be kept from the processor while it keeps the interpreter from the steps.
    """

    def __init__(
        self, meter: Meter, page: PageWriter, activity: Activity, priority: int = 0
    ) -> None:
        self._meter = meter
        self._page = page
        self._activity = activity
        self._priority = priority
        self._period_s = min(_LONGEST_PERIOD_S, meter.period_s)
        self._thread = threading.Thread(target=self._run, name='e4-joules', daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the thread, after the activity was stopped."""
        self._thread.join()

    def _run(self) -> None:
        set_fifo_priority(self._priority)
        while True:
            reading = self._meter.read()
            # Joules that stand still because a rail is silent are nobody's.
            self._page.set_energy(reading.energy_j, 'none' if reading.silent else reading.source)
            if not self._activity.wait(self._period_s, IDLE_PERIOD_S):
                return
