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

"""A cpufreq policy that obeys the kernel's rules, before and after PM QoS.

Sources: drivers/cpufreq/cpufreq.c, cpufreq_userspace.c, intel_pstate.c.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from dataclasses import replace

from e4_ros.energy.boards import DomainSpec
from e4_ros.energy.virtual.clocks import (
    Attribute,
    EventQueue,
    VirtualClock,
    governed,
    parse_number,
    refuse,
    within,
)

_KHZ = 1000
_QOS_S = 0.0003
"""Delay until the kernel's work item applies a limit under PM QoS (assumed)."""


class VirtualPolicy:
    """The attributes of one `policy*` folder.

    Args:
        spec: description of the domain: table, governors and delays.
        cpus: numbers of the CPUs that the policy covers.
        old: whether the kernel is one before PM QoS.
        event_queue: event queue of the board.
    """

    def __init__(
        self, spec: DomainSpec, cpus: tuple[int, ...], old: bool, event_queue: EventQueue
    ) -> None:
        self._spec, self._cpus, self._old, self._event_queue = spec, cpus, old, event_queue
        self._table = [hz // _KHZ for hz in spec.frequencies_hz]
        self._pstate = 'pstate' in spec.driver
        low, high = spec.written_hz
        self._asked_low, self._asked_high = low // _KHZ, high // _KHZ
        self.low, self.high = self._asked_low, self._asked_high
        self.governor = spec.governor
        self._setspeed = 0
        self._heat_cap = self._table[-1]
        self._on = set(cpus) & set(spec.cpus)
        self.load = 0.0
        self.clock = VirtualClock(spec.limits_hz[0], spec.switch.effect_s.value, event_queue)
        self.retarget()

    @property
    def online(self) -> bool:
        """Whether a CPU of the policy is on."""
        return bool(self._on)

    def switch(self, online: Collection[int]) -> None:
        """Take CPUs on and off; a policy that comes back keeps its governor and limits."""
        was, self._on = self.online, set(self._cpus) & set(online)
        if self.online and not was:
            self._setspeed = self.clock.commanded_hz // _KHZ
            self.retarget()

    def attributes(self) -> dict[str, Attribute]:
        """File name → attribute; without a CPU that is on, a file answers as the kernel's does."""
        return {name: self._guarded(attribute) for name, attribute in self._files().items()}

    def _guarded(self, attribute: Attribute) -> Attribute:
        read, write = attribute.read, attribute.write

        def guarded_read() -> object:
            if not self.online and not self._old:
                raise refuse(errno.EBUSY)
            return read() if read is not None else ''

        def guarded_write(text: str) -> None:
            if not self.online:
                raise refuse(errno.EINVAL if self._old else errno.EBUSY)
            if write is not None:
                write(text)

        return replace(attribute, read=guarded_read, write=guarded_write if write else None)

    def _files(self) -> dict[str, Attribute]:
        cpus = ' '.join(map(str, self._cpus))
        table, governors = self._table, ' '.join(self._spec.governors)
        files = {
            'affected_cpus': Attribute(lambda: ' '.join(map(str, sorted(self._on)))),
            'cpuinfo_cur_freq': Attribute(lambda: self.clock.hz // _KHZ, root_only=True),
            'cpuinfo_max_freq': Attribute(lambda: table[-1]),
            'cpuinfo_min_freq': Attribute(lambda: table[0]),
            'cpuinfo_transition_latency': Attribute(lambda: 300_000),
            'related_cpus': Attribute(lambda: cpus),
            'scaling_available_governors': Attribute(lambda: governors),
            'scaling_cur_freq': Attribute(lambda: self.clock.hz // _KHZ),
            'scaling_driver': Attribute(lambda: self._spec.driver),
            'scaling_governor': Attribute(lambda: self.governor, self._set_governor),
            'scaling_max_freq': Attribute(lambda: self.high, self._set_high),
            'scaling_min_freq': Attribute(lambda: self.low, self._set_low),
            'scaling_setspeed': Attribute(self._show_setspeed, self._set_speed),
        }
        if not self._pstate:
            listed = ' '.join(map(str, table))
            files['scaling_available_frequencies'] = Attribute(lambda: listed)
        return files

    def retarget(self) -> None:
        """Choose the frequency again, after a limit, a governor or the load has changed."""
        if self.governor == 'userspace':
            wanted = self._setspeed
        else:
            # A board's load is the mean of its cores; the kernel follows the busiest of a policy.
            busiest = min(self.load * len(self._cpus), 1.0)
            wanted = governed(self.governor, self.low, self.high, busiest)
        if self._pstate:
            target = max(self.low, min(self.high, wanted))
        else:
            target = within(self._table, wanted, self.low, self.high)
        self.clock.command(target * _KHZ)

    def cap_for_heat(self, hot: bool) -> None:
        """Let the thermal framework cap the policy in the middle of its mode, or remove the cap."""
        allowed = self._spec.allowed_hz
        self._heat_cap = allowed[len(allowed) // 2] // _KHZ if hot else self._table[-1]
        self._apply_limits()

    def _set_governor(self, text: str) -> None:
        governor = text.strip()
        if governor not in self._spec.governors:
            raise refuse(errno.EINVAL)
        if governor == 'userspace' != self.governor:
            self._setspeed = self.clock.commanded_hz // _KHZ
        self.governor = governor
        self.retarget()

    def _show_setspeed(self) -> object:
        if self.governor != 'userspace':
            return '<unsupported>'
        return self.clock.commanded_hz // _KHZ

    def _set_speed(self, text: str) -> None:
        if self.governor != 'userspace':
            raise refuse(errno.EINVAL)
        self._setspeed = parse_number(text)
        self.retarget()

    def _set_low(self, text: str) -> None:
        khz = parse_number(text)
        if self._old and self._clamp(khz) > self._asked_high:
            raise refuse(errno.EINVAL)
        self._asked_low = khz
        self._limits_changed()

    def _set_high(self, text: str) -> None:
        khz = parse_number(text)
        if self._old and self._clamp(khz) < self._asked_low:
            raise refuse(errno.EINVAL)
        self._asked_high = khz
        self._limits_changed()

    def _clamp(self, khz: int) -> int:
        return max(self._table[0], min(self._table[-1], khz))

    def _limits_changed(self) -> None:
        if self._old:
            self._apply_limits()
        else:
            self._event_queue.after(_QOS_S, self._apply_limits)

    def _apply_limits(self) -> None:
        if self._old:
            self._asked_low, self._asked_high = map(
                self._clamp, (self._asked_low, self._asked_high)
            )
        self.high = min(self._clamp(self._asked_high), self._heat_cap)
        self.low = min(self._clamp(self._asked_low), self.high)
        self.retarget()
