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

"""Load, power, energy and heat of a virtual board."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from math import exp, isfinite
from typing import Protocol

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import Board
from e4_ros.energy.virtual.clocks import EventQueue, VirtualClock, refuse
from e4_ros.energy.virtual.sensors import VirtualRail

_COOLED_C = 5.0
_SHORTEST_PERIOD_S = 0.001


class Clocked(Protocol):
    """A cpufreq policy, a devfreq device or a BPMP clock.

    Attributes:
        clock: the clock of the device.
        load: busy share of the device, 0 to 1.
    """

    clock: VirtualClock
    load: float

    @property
    def online(self) -> bool:
        """Whether the device is on."""

    def retarget(self) -> None:
        """Choose the frequency again."""

    def cap_for_heat(self, hot: bool) -> None:
        """Cap the frequency, or remove the cap."""


class Physics:
    """Energy and heat that flow between two events.

    Args:
        board: description of the board: power of its loads, rails, thermal resistance.

    Attributes:
        loads: domain → text that was last written to its load file.
        rails: label → rail.
        energy_j: exact energy of the whole board since the start, in joules.
        temperature_c: temperature in °C, the first-order response to the board's power.
        hot: whether the kernel caps the clocks for heat.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._model = BoardModel(board)
        self._domains: Mapping[str, Sequence[Clocked]] = {}
        self._waves = dict.fromkeys(board.domains, 0)
        self.loads = dict.fromkeys(board.domains, '0')
        self._state: tuple[float, ...] = ()
        self._rail_w: dict[str, float] = {}
        self._total_w = 0.0
        self.rails = {
            rail.label: VirtualRail(
                lambda label=rail.label: self._rail_w[label],  # type: ignore[misc]
                board.monitors[rail.device].refresh_s,
            )
            for rail in board.rails
        }
        self.energy_j = 0.0
        self.temperature_c = board.thermal.ambient_c
        self.hot = False

    def start(self, domains: Mapping[str, Sequence[Clocked]]) -> None:
        """Start with these devices, at the temperature of the idle board."""
        self._domains = domains
        self._update()
        self.temperature_c = self._settled_c()

    def change(self, board: Board) -> None:
        """Go on as this board: other cores or units are on."""
        self._model = BoardModel(board)
        self._state = ()

    def flow(self, start_s: float, end_s: float) -> None:
        """Add the energy and heat of an interval in which clocks and loads are constant."""
        self._update()
        for rail in self.rails.values():
            rail.flow(start_s, end_s)
        self.energy_j += self._total_w * (end_s - start_s)
        settled_c = self._settled_c()
        decay = exp((start_s - end_s) / self._board.thermal.time_constant_s.value)
        self.temperature_c = settled_c + (self.temperature_c - settled_c) * decay

    def throttle(self) -> None:
        """Cap the clocks above the board's limit, remove the cap some degrees below it."""
        limit_c = self._board.thermal.throttle_c.value
        hot = self.temperature_c > (limit_c - _COOLED_C if self.hot else limit_c)
        if hot != self.hot:
            self.hot = hot
            for owner in (o for owners in self._domains.values() for o in owners):
                owner.cap_for_heat(hot)

    def set_load(self, domain: str, text: str, event_queue: EventQueue) -> None:
        """Set the load of a domain: `SHARE`, or `LOW HIGH PERIOD_S` for a square wave.

        Raises:
            OSError: EINVAL: the text is neither.
        """
        try:
            numbers = [float(word) for word in text.split()]
        except ValueError:
            numbers = []
        levels, period_s = numbers[:2], numbers[2] if len(numbers) == 3 else _SHORTEST_PERIOD_S
        if (
            len(numbers) not in (1, 3)
            or not all(0 <= level <= 1 for level in levels)
            or not (isfinite(period_s) and period_s >= _SHORTEST_PERIOD_S)
        ):
            raise refuse(errno.EINVAL)
        self.loads[domain] = text.strip()
        self._waves[domain] += 1
        self._half_wave(domain, levels, period_s / 2, event_queue, self._waves[domain])

    def _half_wave(
        self, domain: str, levels: list[float], half_s: float, event_queue: EventQueue, wave: int
    ) -> None:
        if wave != self._waves[domain]:
            return
        for owner in self._domains[domain]:
            owner.load = levels[0]
            owner.retarget()
        if len(levels) == 2:
            other = levels[::-1]
            event_queue.after(
                half_s, lambda: self._half_wave(domain, other, half_s, event_queue, wave)
            )

    def _update(self) -> None:
        """Compute the power again if a clock or a load has changed."""
        state = tuple(
            x for owners in self._domains.values() for o in owners for x in (o.clock.hz, o.load)
        )
        if state == self._state:
            return
        self._state = state
        point = {name: _mean_hz(owners) for name, owners in self._domains.items()}
        load = {name: owners[0].load for name, owners in self._domains.items()}
        self._rail_w = self._model.rail_power_w(point, load)
        self._total_w = self._model.total_w(point, load)

    def _settled_c(self) -> float:
        thermal = self._board.thermal
        return thermal.ambient_c + thermal.resistance_c_per_w.value * self._total_w


def _mean_hz(owners: Sequence[Clocked]) -> int:
    """Mean clock of those that are on; the power of a domain that is off does not depend on it."""
    on = [owner for owner in owners if owner.online] or owners
    return sum(owner.clock.hz for owner in on) // len(on)
