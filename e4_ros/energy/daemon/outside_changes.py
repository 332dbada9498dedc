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

"""What others do to clocks that are pinned: another power mode, a new cap, heat.

Three things lower a limit. Somebody writes it: that is the new limit, and stays. nvpmodel changes
the power mode: it writes the same files, and says so in its status, which counts where a pin hides
or has just replaced what it wrote. Heat: the kernel's cap shows in the same files, as long as a
cooling device is at work, and goes again by itself; it binds, and is never taken for the state to
restore.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from e4_ros.energy.domains.cooling import heat_state
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.domains.restore import reads_lower
from e4_ros.energy.errors import DomainError, Snapshot
from e4_ros.energy.power_mode import STATUS, SeenMode, read_power_mode


class _Hidden(NamedTuple):
    """What was restored of a domain and reads lower: the texts, those read, and the heat then."""

    texts: Mapping[str, str]
    read: Mapping[str, str]
    heat: int


class OutsideChanges:
    """Keeps what was seen of power mode and heat; not safe to use from several threads.

    Args:
        root: folder that holds ``sys/`` and ``var/``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._status = root / STATUS
        self._stamp = self._read_stamp()
        self.mode: SeenMode | None = None  # the mode that was set since the look before
        self._heat = 0
        self._heat_caps_hz: dict[str, int] = {}
        self._hidden: dict[str, _Hidden] = {}

    def look(self) -> bool:
        """Look at power mode and heat; `taken_over` and `limits` go by what was seen last.

        Returns:
            Whether the power mode was set since the look before.
        """
        stamp = self._read_stamp()
        set_now = stamp != self._stamp
        self._stamp = stamp
        self.mode = read_power_mode(self._root) if set_now else None
        if set_now:
            self._hidden.clear()
        if self._heat_caps_hz and heat_state(self._root) != self._heat:
            self._heat_caps_hz.clear()
        return set_now

    def note_restored(self, domain: Domain, saved: Snapshot) -> None:
        """Remember what heat hides of a state that was restored just now."""
        self._hidden.pop(domain.name, None)
        if heat := heat_state(self._root):
            try:
                read = domain.snapshot()
            except DomainError:
                return
            texts = {n: text for n, text in saved.items() if reads_lower(read.get(n, ''), text)}
            if texts:
                self._hidden[domain.name] = _Hidden(texts, read, heat)

    def snapshot(self, domain: Domain) -> Snapshot:
        """The state of a domain to be saved: for limits that heat hides, what was restored."""
        seen = domain.snapshot()
        hidden = self._hidden.get(domain.name)
        if hidden is None:
            return seen
        heat = heat_state(self._root)
        if not heat:
            del self._hidden[domain.name]
            return seen
        return seen | {
            name: text
            for name, text in hidden.texts.items()
            # Under the same heat another number is somebody's new limit.
            if reads_lower(seen.get(name, ''), text)
            and (heat != hidden.heat or seen[name] == hidden.read[name])
        }

    def taken_over(self, domain: Domain, saved: Snapshot) -> Snapshot:
        """The saved state with what others changed; unchanged, the same object."""
        seen = domain.taken_over(saved)
        if seen is not saved:
            high_hz = domain.machine_limits(seen)[1]
            heat = heat_state(self._root) if high_hz < domain.machine_limits(saved)[1] else 0
            if heat:
                self._heat, self._heat_caps_hz[domain.name] = heat, high_hz
                seen = saved
        if self.mode is not None and domain.name in self.mode.limits_hz:
            return domain.in_mode(seen, *self.mode.limits_hz[domain.name])
        return seen

    def limits(self, domain: Domain, saved: Snapshot) -> tuple[int, int]:
        """The limits of a domain in hertz, under heat with the cap of that."""
        low, high = domain.machine_limits(saved)
        high = min(high, self._heat_caps_hz.get(domain.name, high))
        return min(low, high), high

    def _read_stamp(self) -> tuple[int, bytes]:
        """What changes whenever nvpmodel writes its status; the same where there is none."""
        try:
            return self._status.stat().st_mtime_ns, self._status.read_bytes()
        except OSError:
            return 0, b''
