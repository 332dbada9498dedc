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

"""Whether devices on USB and PCIe are suspended while nobody uses them.

Sources: Documentation/driver-api/usb/power-management.rst; Documentation/ABI/testing/
sysfs-devices-power; `drivers/pci/pcie/aspm.c` (`policy`); `drivers/nvme/host/core.c` (APST, which
is off where `default_ps_max_latency_us` or the latency that the device may tolerate is 0).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from e4_ros.evaluation.doctor.attributes import command, few, number, text
from e4_ros.evaluation.doctor.check import Check

_LATENCY = 'power/pm_qos_latency_tolerance_us'
_APST = 'sys/module/nvme_core/parameters/default_ps_max_latency_us'
_POLICY = 'sys/module/pcie_aspm/parameters/policy'


def usb(root: Path) -> Iterator[Check]:
    """USB devices; a camera that streams is awake in any case."""
    yield from _suspending(
        root, 'sys/bus/usb/devices', 'USB', lambda device: text(device / 'product'),
        'idle devices and their ports would sleep; a keyboard or a serial port may lose its first '
        'bytes, and a camera take longer to start',
    )  # fmt: skip


def pci(root: Path) -> Iterator[Check]:
    """PCIe devices, and what their links do while nothing is sent."""
    yield from _suspending(
        root, 'sys/bus/pci/devices', 'PCIe', _driver, 'idle devices and their ports would sleep'
    )
    policy = text(root / _POLICY)
    chosen = re.search(r'\[(\w+)\]', policy)
    if chosen is None:
        return
    lazy = 'powersave' not in policy or chosen[1].startswith('power')
    yield Check(
        'buses', 'PCIe links', 'ok' if lazy else 'optional', f'policy {chosen[1]}',
        '' if lazy else f'links would sleep between two packets: {command("powersave", _POLICY)}; '
        'firmware that keeps ASPM to itself refuses it',
    )  # fmt: skip


def _driver(device: Path) -> str:
    link = device / 'driver'
    return link.resolve().name if link.exists() else 'no driver'


def _suspending(
    root: Path, folder: str, name: str, label: Callable[[Path], str], effect: str
) -> Iterator[Check]:
    """Devices of a bus, and those of them that are told never to suspend."""
    devices = [path for path in sorted((root / folder).glob('*')) if text(path / 'power/control')]
    if not devices:
        return
    awake = [path for path in devices if text(path / 'power/control') == 'on']
    if not awake:
        yield Check('buses', name, 'ok', f'all {len(devices)} devices may sleep')
        return
    told = few([' '.join(filter(None, (path.name, label(path)))) for path in awake])
    files = (f'{folder}/{path.name}/power/control' for path in awake)
    yield Check(
        'buses', name, 'optional', f'{len(awake)} of {len(devices)} devices never sleep: {told}',
        f'{effect}: {command("auto", *files)}',
    )  # fmt: skip


def nvme(root: Path) -> Iterator[Check]:
    """NVMe drives, and whether they change to lower power states by themselves (APST)."""
    everywhere = number(root / _APST)
    for drive in sorted((root / 'sys/class/nvme').glob('nvme[0-9]*')):
        tolerated = text(drive / _LATENCY)
        off = everywhere == 0 or tolerated == '0'
        if everywhere is None and not tolerated:
            continue
        bound = tolerated if tolerated.isdigit() else everywhere
        found = 'stays in its highest power state' if off else 'sinks by itself (APST)'
        if bound and not off:
            found += f', for at most {bound} µs of waking'
        if everywhere == 0:
            how = "`nvme_core.default_ps_max_latency_us=100000` on the kernel's command line"
        else:
            how = command('auto', f'sys/class/nvme/{drive.name}/{_LATENCY}')
        yield Check(
            'buses', drive.name, 'optional' if off else 'ok', found,
            f'a drive without work would sink to lower states by itself: {how}' if off else '',
        )  # fmt: skip
