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

"""Who needs the daemon at the moment, and the waits of its threads: short for somebody, else long.

A core that is woken every few milliseconds never reaches its deep idle states (Tegra's ask for 30
to 80 ms without a wake-up), so a daemon that nobody needs must not wake it.
"""

from __future__ import annotations

import threading


class Activity:
    """Waits whose length depends on whether anybody is busy; safe to use from several threads.

    A lease makes the daemon busy from its beginning to its end, whether it steps or rests. Whoever
    else needs fresh values, as somebody who reads joules, begins and ends like a lease.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy: set[object] = set()
        self._stopped = False

    @property
    def is_busy(self) -> bool:
        """Whether anybody needs the daemon."""
        return bool(self._busy)

    def begin(self, who: object) -> None:
        """Be busy for somebody, and wake every wait; a second call for the same changes nothing."""
        with self._changed:
            self._busy.add(who)
            self._changed.notify_all()

    def end(self, who: object) -> None:
        """Be busy for somebody no more; ending what did not begin changes nothing."""
        with self._changed:
            self._busy.discard(who)

    def stop(self) -> None:
        """End every wait, now and from now on."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait(self, busy_s: float, idle_s: float) -> bool:
        """Wait until the next look is due.

        Args:
            busy_s: seconds to wait while anybody is busy.
            idle_s: seconds to wait while nobody is; ends at once when somebody begins.

        Returns:
            False when the daemon stops.
        """
        with self._changed:
            if not self._stopped:
                self._changed.wait(busy_s if self._busy else idle_s)
            return not self._stopped
