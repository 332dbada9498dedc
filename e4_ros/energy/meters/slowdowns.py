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

"""What slows the board down: cooling devices at work, over-current events, an under-voltage.

Sources: Documentation/hwmon/sysfs-interface.rst (alarms); NVIDIA's Jetson Linux guide, "Platform
Power and Performance" (`soctherm_oc`: OC1 under-voltage, OC2 average and OC3 instantaneous
over-current); the firmware's `get_throttled` of a Raspberry Pi.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from e4_ros.energy.domains.cooling import cooling_devices
from e4_ros.energy.domains.sysfs import read_int, read_text
from e4_ros.energy.errors import DomainError

_EVENTS = 'sys/class/hwmon/hwmon*/oc*_event_cnt'
_ALARMS = ('curr*_crit_alarm', 'curr*_max_alarm')
_GATED = ('sys/devices/gpu.0', 'sys/devices/platform/gpu.0', 'sys/class/devfreq/*/device')
_PI = 'sys/devices/platform/soc*/soc*firmware*/get_throttled'

_OC = {'1': 'under-voltage', '2': 'average over-current', '3': 'instantaneous over-current'}
_PI_NOW = ('under-voltage', 'the firmware caps the clocks', 'the firmware throttles', 'soft limit')


def slowdowns(root: str | Path = '/') -> list[str]:
    """What slows the board down now, or has since it was started, in words."""
    root = Path(root)
    heat = [
        f'{device.kind} cools ({device.state} of {device.most})'
        for device in cooling_devices(root)
        if device.slows
    ]
    return [*heat, *_events(root), *_alarms(root), *_firmware(root)]


def gated_tpcs(root: str | Path = '/') -> int | None:
    """Number of the GPU's TPCs that the power mode keeps off; None where nothing says so."""
    for place in _GATED:
        for folder in Path(root).glob(place):
            try:
                return read_int(folder / 'tpc_pg_mask').bit_count()
            except DomainError:
                continue
    return None


def _events(root: Path) -> Iterator[str]:
    for path in sorted(root.glob(_EVENTS)):
        try:
            count = read_int(path)
        except DomainError:
            continue
        number = path.name.removeprefix('oc').partition('_')[0]
        if count > 0:
            what = _OC.get(number, 'over-current')
            yield f'{count} times {what} since the start (OC{number})'


def _alarms(root: Path) -> Iterator[str]:
    for pattern in _ALARMS:
        for path in sorted(root.glob(f'sys/class/hwmon/hwmon*/{pattern}')):
            rail = path.name.removeprefix('curr').partition('_')[0]
            try:
                if not read_int(path):
                    continue
                label = read_text(path.with_name(f'in{rail}_label'))
            except DomainError:
                label = f'{path.parent.name} rail {rail}'
            limit = 'critical' if 'crit' in pattern else 'warning'
            yield f'the current of {label} is above its {limit} limit'


def _firmware(root: Path) -> Iterator[str]:
    for path in root.glob(_PI):
        try:
            bits = int(read_text(path), 16)
        except (DomainError, ValueError):
            continue
        yield from (text for bit, text in enumerate(_PI_NOW) if bits >> bit & 1)
        past = [text for bit, text in enumerate(_PI_NOW) if bits >> 16 + bit & 1]
        if past and not bits & 0xF:
            yield f'since the start there was: {", ".join(past)}'
