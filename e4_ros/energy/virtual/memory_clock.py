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

"""A Jetson's memory clock in debugfs: the BPMP's (TX2 and later) and tegra210's (Nano).

Source: what jetson_clocks of JetPack 4 to 6 reads and writes there, and nvpmodel's file of the cap.
"""

from __future__ import annotations

from e4_ros.energy.boards import DomainSpec
from e4_ros.energy.virtual.clock_files import BWMGR
from e4_ros.energy.virtual.clocks import (
    Attribute,
    EventQueue,
    VirtualClock,
    at_least,
    at_most,
    parse_number,
)


class VirtualMemoryClock:
    """The files of the clock: lock, rate, ends, and nvpmodel's cap.

    Unlocked, the bandwidth manager keeps the rate at the cap and a written rate has no effect;
    locked, the cap does not bind.

    Args:
        spec: description of the domain: table and delays.
        event_queue: event queue of the board.
    """

    def __init__(self, spec: DomainSpec, event_queue: EventQueue) -> None:
        self._spec = spec
        self._table = spec.frequencies_hz
        self._cap = spec.limits_hz[1]
        self._locked = 0
        self._asked = self._cap
        self.online = True
        self.load = 0.0
        self.clock = VirtualClock(self._cap, spec.switch.effect_s.value, event_queue)

    def attributes(self) -> dict[str, Attribute]:
        """Path below the root → attribute. The rate reads as commanded, as with a real BPMP."""
        folder, table = self._spec.path, self._table
        lowest = Attribute(lambda: table[0], root_only=True)
        highest = Attribute(lambda: table[-1], root_only=True)
        lock = Attribute(lambda: self._locked, self._set_lock, root_only=True)
        rate = Attribute(lambda: self.clock.commanded_hz, self._set_rate, root_only=True)
        if self._spec.kind == 'tegra210':
            shown = Attribute(lambda: self.clock.commanded_hz, root_only=True)
            files = {
                f'{BWMGR}/emc_min_rate': lowest,
                f'{BWMGR}/emc_max_rate': highest,
                f'{folder}/clk_state': lock,
                f'{folder}/clk_update_rate': rate,
                f'{folder}/clk_rate': shown,
            }
        else:
            files = {
                f'{folder}/min_rate': lowest,
                f'{folder}/max_rate': highest,
                f'{folder}/mrq_rate_locked': lock,
                f'{folder}/rate': rate,
            }
        if self._spec.cap:
            files[self._spec.cap] = Attribute(lambda: self._cap, self._set_cap)
        return files

    def retarget(self) -> None:
        """Set what was asked for where the clock is locked, else the bandwidth manager's choice."""
        self.clock.command(at_least(self._table, self._asked) if self._locked else self._cap)

    def cap_for_heat(self, hot: bool) -> None:
        """Do nothing: heat does not slow the memory."""

    def _set_lock(self, text: str) -> None:
        self._locked = int(parse_number(text) != 0)
        if self._spec.kind == 'bpmp':
            self._asked = self.clock.commanded_hz
        self.retarget()

    def _set_rate(self, text: str) -> None:
        hz = parse_number(text)
        # The BPMP drops what is not locked; tegra210's override keeps it until its switch is on.
        if self._locked or self._spec.kind == 'tegra210':
            self._asked = hz
            self.retarget()

    def _set_cap(self, text: str) -> None:
        hz = parse_number(text)
        self._cap = at_most(self._table, hz) if hz else self._table[-1]
        self.retarget()
