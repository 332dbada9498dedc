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

"""The power mode a Jetson is in, read from nvpmodel's own files.

``nvpmodel -m`` writes the number of the mode to ``/var/lib/nvpmodel/status`` (``pmode:0002 ...``);
``/etc/nvpmodel.conf`` says what each mode is called and what it allows. The file grows with every
release: what is not understood is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

STATUS = 'var/lib/nvpmodel/status'
CONF = 'etc/nvpmodel.conf'

_MODE = re.compile(r'<\s*POWER_MODEL\b(.*?)>')
_PARAM = re.compile(r'<\s*PARAM\b.*?\bNAME\s*=\s*([\w.-]+)')
_DEFAULT = re.compile(r'<\s*PM_CONFIG\s+DEFAULT\s*=\s*(\d+)')
_PMODE = re.compile(r'pmode\s*:\s*(\d+)')
_NUMBER, _NAME = re.compile(r'\bID\s*=\s*(\d+)'), re.compile(r'\bNAME\s*=\s*([\w.+-]+)')
_HZ_PER_KHZ = 1000
OPEN_HZ = 2**63 - 1
"""The upper limit of a mode that sets none."""


@dataclass(frozen=True, slots=True)
class SeenMode:
    """A power mode that was read from the machine.

    Attributes:
        id: number of the mode.
        name: its name, empty where the configuration does not name it.
        limits_hz: domain (``cpu``, ``gpu``, ``emc``) → lowest and highest clock that the mode
            allows; an end that it leaves open is 0 or :data:`OPEN_HZ`.
        cpus: number of a CPU → whether the mode has it online, where it says so.
    """

    id: int
    name: str = ''
    limits_hz: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    cpus: Mapping[int, bool] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The mode in one word, by which plans and measured tables are kept apart."""
        return f'nvpmodel:{self.id}:{self.name}' if self.name else f'nvpmodel:{self.id}'


def read_power_mode(root: str | Path = '/') -> SeenMode | None:
    """The power mode of the machine below ``root``; None where no mode can be read.

    Without a status file it is the configuration's default mode, which the next boot sets.
    """
    conf = _text(Path(root) / CONF)
    found = _PMODE.search(_text(Path(root) / STATUS)) or _DEFAULT.search(conf)
    if found is None:
        return None
    number = int(found[1])
    name, lines = _block(conf, number)
    return SeenMode(number, name, _limits(lines, _domains(conf)), _cpus(lines))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors='replace')
    except OSError:
        return ''


def _block(conf: str, number: int) -> tuple[str, list[str]]:
    """Name and lines of one mode."""
    name, lines, inside = '', [], False
    for line in conf.splitlines():
        if line.lstrip().startswith('<'):
            head = _MODE.search(line)
            seen = head and _NUMBER.search(head[1])
            inside = seen is not None and int(seen[1]) == number
            if head and inside and (called := _NAME.search(head[1])):
                name = called[1]
        elif inside:
            lines.append(line)
    return name, lines


def _domains(conf: str) -> dict[str, tuple[str, int]]:
    """Parameter → domain and hertz per unit, by the files that the parameter writes."""
    found, name = {}, ''
    for line in conf.splitlines():
        if line.lstrip().startswith('<'):
            head = _PARAM.search(line)
            name = head[1] if head else ''
        elif name and line.split()[:1] in (['MAX_FREQ'], ['MIN_FREQ']):
            path = line.partition('/')[2]
            if 'cpufreq' in path:
                found[name] = ('cpu', _HZ_PER_KHZ)
            elif 'emc' in path or 'bwmgr' in path:
                found[name] = ('emc', 1)
            elif 'devfreq' in path and name.startswith('GPU'):
                found[name] = ('gpu', 1)
    return found


def _cpus(lines: list[str]) -> dict[int, bool]:
    found = (re.fullmatch(r'CPU_ONLINE\s+CORE_(\d+)\s+([01])', line.strip()) for line in lines)
    return {int(one[1]): one[2] == '1' for one in found if one}


def _limits(lines: list[str], domains: Mapping[str, tuple[str, int]]) -> dict[str, tuple[int, int]]:
    limits: dict[str, tuple[int, int]] = {}
    for line in lines:
        words = line.split()
        if len(words) != 3 or words[0] not in domains or not re.fullmatch(r'-?\d+', words[2]):
            continue
        domain, unit = domains[words[0]]
        low, high = limits.get(domain, (0, OPEN_HZ))
        number = int(words[2])
        if words[1] == 'MIN_FREQ':
            low = max(low, number * unit)
        elif words[1] == 'MAX_FREQ' and 0 < number < OPEN_HZ // unit:
            high = min(high, number * unit)
        limits[domain] = (low, high)
    return limits
