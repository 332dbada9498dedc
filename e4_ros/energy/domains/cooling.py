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

"""Cooling devices: whether heat holds clocks down now.

Source: Documentation/driver-api/thermal/sysfs-api.rst (`cooling_device*`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from e4_ros.energy.domains.sysfs import read_int, read_text
from e4_ros.energy.errors import DomainError

_COOLING = 'sys/class/thermal/cooling_device*'

_CLOCKS = re.compile(r'cpu|gpu|devfreq|emc|processor|powerclamp|soctherm|throt|balanced', re.I)
"""Cooling devices that slow clocks down. Others turn fans, dim displays (`LCD`) or only warn."""


class Cooling(NamedTuple):
    """A cooling device.

    Attributes:
        kind: its `type`.
        state: how much it cools now; 0: not at all.
        most: state in which it cools most.
    """

    kind: str
    state: int
    most: int

    @property
    def slows(self) -> bool:
        """Whether it holds a clock down now."""
        return self.state > 0 and bool(_CLOCKS.search(self.kind))


def cooling_devices(root: str | Path = '/') -> list[Cooling]:
    """Every cooling device that can be read."""
    found = []
    for folder in sorted(Path(root).glob(_COOLING)):
        try:
            states = (read_int(folder / name) for name in ('cur_state', 'max_state'))
            found.append(Cooling(read_text(folder / 'type'), *states))
        except DomainError:
            continue
    return found


def heat_state(root: str | Path = '/') -> int:
    """How much cooling devices slow clocks down: sum of their states, 0 where none does."""
    return sum(device.state for device in cooling_devices(root) if device.slows)
