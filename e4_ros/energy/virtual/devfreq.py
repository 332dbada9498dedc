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

"""A devfreq device that obeys the kernel's rules, before and after PM QoS.

Sources: drivers/devfreq/devfreq.c, governor_userspace.c.
"""

from __future__ import annotations

import errno
from pathlib import Path

from e4_ros.energy.boards import DomainSpec
from e4_ros.energy.virtual.clocks import (
    Attribute,
    EventQueue,
    VirtualClock,
    at_least,
    at_most,
    governed,
    parse_number,
    refuse,
)

_KHZ = 1000


class VirtualDevfreq:
    """The attributes of one devfreq folder.

    Args:
        spec: description of the domain: table, governors and delays.
        old: whether the kernel is one before PM QoS.
        event_queue: event queue of the board.
    """

    def __init__(self, spec: DomainSpec, old: bool, event_queue: EventQueue) -> None:
        self._spec, self._old = spec, old
        self._table = spec.frequencies_hz
        self._asked_low, self._asked_high = spec.written_hz
        self.online = True
        self.governor = spec.governor
        self._set_freq: int | None = None
        self._heat_cap = self._table[-1]
        self.load = 0.0
        self.clock = VirtualClock(spec.limits_hz[0], spec.switch.effect_s.value, event_queue)
        self.retarget()

    def attributes(self) -> dict[str, Attribute]:
        """File name → attribute."""
        listed, governors = ' '.join(map(str, self._table)), ' '.join(self._spec.governors)
        name = self._spec.name or Path(self._spec.path).name
        return {
            'available_frequencies': Attribute(lambda: listed),
            'available_governors': Attribute(lambda: governors),
            'cur_freq': Attribute(lambda: self.clock.hz),
            'governor': Attribute(lambda: self.governor, self._set_governor),
            'max_freq': Attribute(lambda: self._shown()[1], self._set_high),
            'min_freq': Attribute(lambda: self._shown()[0], self._set_low),
            'name': Attribute(lambda: name),
            'target_freq': Attribute(lambda: self.clock.commanded_hz),
            'userspace/set_freq': Attribute(
                lambda: 'undefined' if self._set_freq is None else self._set_freq,
                self._set_userspace,
                lambda: self.governor == 'userspace',
            ),
        }

    def retarget(self) -> None:
        """Choose the frequency again, after a limit, a governor or the load has changed."""
        low, high = self._range()
        if self.governor == 'userspace':
            wanted = self.clock.commanded_hz if self._set_freq is None else self._set_freq
        else:
            wanted = governed(self.governor, low, high, self.load)
        # An OPP ceiling by default, an OPP floor where the upper limit was what counted.
        if wanted >= high:
            self.clock.command(at_most(self._table, high))
        else:
            self.clock.command(at_least(self._table, max(wanted, low)))

    def cap_for_heat(self, hot: bool) -> None:
        """Let the thermal framework cap the device at half its table, or remove the cap."""
        self._heat_cap = self._table[len(self._table) // 2] if hot else self._table[-1]
        self.retarget()

    def _range(self) -> tuple[int, int]:
        """Effective limits; the upper one wins."""
        high = min(self._asked_high or self._table[-1], self._table[-1], self._heat_cap)
        return min(max(self._asked_low, self._table[0]), high), high

    def _shown(self) -> tuple[int, int]:
        return (self._asked_low, self._asked_high) if self._old else self._range()

    def _set_governor(self, text: str) -> None:
        governor = text.strip()
        if governor not in self._spec.governors:
            raise refuse(errno.EINVAL)
        if governor != self.governor:
            self._set_freq = None
        self.governor = governor
        self.retarget()

    def _set_userspace(self, text: str) -> None:
        self._set_freq = parse_number(text)
        self.retarget()

    def _set_low(self, text: str) -> None:
        hz = parse_number(text)
        if self._old and self._asked_high and hz > self._asked_high:
            raise refuse(errno.EINVAL)
        self._asked_low = hz if self._old else hz // _KHZ * _KHZ
        self.retarget()

    def _set_high(self, text: str) -> None:
        hz = parse_number(text)
        if self._old and hz and hz < self._asked_low:
            raise refuse(errno.EINVAL)
        self._asked_high = hz if self._old else -(-hz // _KHZ) * _KHZ
        self.retarget()
