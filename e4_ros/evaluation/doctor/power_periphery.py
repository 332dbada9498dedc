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

"""Whether displays, radios and sound are on that nobody may need.

Sources: `drm_sysfs.c` (`status`, `dpms`); Documentation/ABI/stable/sysfs-class-rfkill;
Documentation/sound/designs/powersave.rst and procfile.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from e4_ros.evaluation.doctor.attributes import few, number, text
from e4_ros.evaluation.doctor.check import Check


def displays(root: Path) -> Iterator[Check]:
    """Displays that are connected, and whether they are on."""
    for connector in sorted((root / 'sys/class/drm').glob('card[0-9]*-*')):
        if text(connector / 'status') != 'connected':
            continue
        dpms = text(connector / 'dpms')
        on = dpms == 'On'
        yield Check(
            'around', f'display {connector.name}', 'optional' if on else 'ok',
            f'connected, {dpms.lower() or "unknown whether on"}',
            'without a picture the display engine sleeps and the memory need not serve it: unplug '
            'it, or `sudo systemctl isolate multi-user.target`' if on else '',
        )  # fmt: skip


def radios(root: Path) -> Iterator[Check]:
    """Wi-Fi and Bluetooth, as far as no switch blocks them."""
    network = root / 'sys/class/net'
    for interface in sorted(path.parent for path in network.glob('*/phy80211')):
        down = text(interface / 'operstate') == 'down'
        yield Check(
            'around', f'Wi-Fi {interface.name}', 'ok' if down else 'optional',
            'down' if down else 'up; the kernel shows only `iw` whether it saves power',
            '' if down else 'between two beacons the radio would sleep, and messages to this robot '
            f'wait longer: `sudo iw dev {interface.name} set power_save on`; without Wi-Fi: '
            '`sudo rfkill block wlan`',
        )  # fmt: skip
    switches = sorted((root / 'sys/class/rfkill').glob('rfkill*'))
    bluetooth = [path for path in switches if text(path / 'type') == 'bluetooth']
    if bluetooth:
        on = [p for p in bluetooth if not number(p / 'soft') and not number(p / 'hard')]
        yield Check(
            'around', 'Bluetooth', 'optional' if on else 'ok', 'on' if on else 'blocked',
            'its controller would be off: `sudo rfkill block bluetooth`' if on else '',
        )  # fmt: skip


def sound(root: Path) -> Iterator[Check]:
    """Sound streams that are open, and a codec that never sleeps."""
    cards = sorted((root / 'sys/class/sound').glob('card[0-9]*'))
    if not cards:
        return
    names = few([text(card / 'id') or card.name for card in cards])
    streams = sorted(root.glob('proc/asound/card*/pcm*/sub*/status'))
    is_open = [path for path in streams if text(path) not in ('', 'closed')]
    delay = text(root / 'sys/module/snd_hda_intel/parameters/power_save')
    if is_open:
        yield Check(
            'around', 'sound', 'optional', f'{names}: {len(is_open)} streams are open',
            'codec and its clocks would be off: end what `fuser -v /dev/snd/*` names',
        )  # fmt: skip
    elif delay == '0':
        file = '/sys/module/snd_hda_intel/parameters/power_save'
        yield Check(
            'around', 'sound', 'optional', f'{names}: silent, but the codec never sleeps',
            f'it would sleep after a second of silence: `echo 1 | sudo tee {file}`',
        )  # fmt: skip
    else:
        yield Check('around', 'sound', 'ok', f'{names}: no stream is open')
