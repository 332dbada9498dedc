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

"""A listing as a tree of plain files, below which everything runs as below `/`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from e4_ros.benchmarks.boards.listing import Devfreq, Listing, Monitor, Policy, Zone

_CPU = 'sys/devices/system/cpu'
_I2C = 'sys/bus/i2c/devices'


def write(listing: Listing, root: Path) -> None:
    """Write the files and links of a listing below an empty folder."""
    for name, text in files(listing).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if text.endswith('\0') else f'{text}\n')
    for name, target in links(listing).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(root / target, path.parent))


def files(listing: Listing) -> dict[str, str]:
    """Path below the root → text."""
    found: dict[str, str | int] = dict(_cpus(listing))
    zone = 0
    for block in listing.blocks:
        for policy in block.cpufreq:
            found.update(_policy(policy))
        for device in block.devfreq:
            found.update(_devfreq(device))
        for number, shown in enumerate(block.zones, start=zone):
            found.update(_zone(number, shown))
        for monitor in block.monitors:
            found.update(_monitor(monitor))
        zone += len(block.zones)
        found.update(block.files)
    return {path: str(text) for path, text in found.items()}


def links(listing: Listing) -> dict[str, str]:
    """Path below the root of a symbolic link → what it leads to, below the root."""
    found = {}
    for block in listing.blocks:
        for policy in block.cpufreq:
            for cpu in policy.cpus:
                found[f'{_CPU}/cpu{cpu}/cpufreq'] = f'{_CPU}/cpufreq/policy{policy.cpus[0]}'
        for device in block.devfreq:
            folder = _devfreq_folder(device)
            found[f'sys/class/devfreq/{Path(folder).name}'] = folder
            found[f'{folder}/device'] = device.device
        for monitor in block.monitors:
            if monitor.form == 'hwmon':
                found[f'sys/class/hwmon/hwmon{monitor.index}'] = _monitor_folder(monitor)
    return found


_Files = Iterator[tuple[str, str | int]]


def _cpus(listing: Listing) -> _Files:
    """Which CPUs there are, as every kernel says it; by the policies."""
    policies = [policy for block in listing.blocks for policy in block.cpufreq]
    present = sorted(cpu for policy in policies for cpu in policy.cpus)
    online = sorted(cpu for policy in policies if policy.online for cpu in policy.cpus)
    for name, cpus in (('possible', present), ('present', present), ('online', online)):
        yield f'{_CPU}/{name}', ','.join(map(str, cpus))


def _policy(policy: Policy) -> _Files:
    cpus = ' '.join(map(str, policy.cpus))
    low, high = policy.hardware or (min(policy.khz), max(policy.khz))
    lowest, highest = policy.limits or (low, high)
    shown: dict[str, str | int] = {
        'affected_cpus': cpus if policy.online else '',
        'related_cpus': cpus,
        'cpuinfo_min_freq': low,
        'cpuinfo_max_freq': high,
        'scaling_available_governors': policy.governors,
        'scaling_cur_freq': policy.now or lowest,
        'scaling_driver': policy.driver,
        'scaling_governor': policy.governor,
        'scaling_max_freq': highest,
        'scaling_min_freq': lowest,
        'scaling_setspeed': '<unsupported>',
    }
    if policy.khz:
        shown['scaling_available_frequencies'] = ' '.join(map(str, policy.khz)) + ' '
    for name, text in (shown | policy.files).items():
        yield f'{_CPU}/cpufreq/policy{policy.cpus[0]}/{name}', text
    for cpu in policy.cpus:
        if policy.capacity is not None:
            yield f'{_CPU}/cpu{cpu}/cpu_capacity', policy.capacity


def _devfreq_folder(device: Devfreq) -> str:
    return f'{device.device}/devfreq/{device.name or Path(device.device).name}'


def _devfreq(device: Devfreq) -> _Files:
    low, high = device.limits or (min(device.hz), max(device.hz))
    shown: dict[str, str | int] = {
        'available_frequencies': ' '.join(map(str, device.hz)),
        'available_governors': device.governors or device.governor,
        'cur_freq': low if device.now is None else device.now,
        'governor': device.governor,
        'max_freq': high,
        'min_freq': low,
    }
    for name, text in (shown | device.files).items():
        yield f'{_devfreq_folder(device)}/{name}', text
    if device.of_node:
        yield f'{device.device}/of_node/name', device.of_node + '\0'


def _zone(number: int, zone: Zone) -> _Files:
    folder = f'sys/class/thermal/thermal_zone{number}'
    yield f'{folder}/type', zone.type
    yield f'{folder}/temp', zone.temp
    for index, trip in enumerate(zone.trips):
        yield f'{folder}/trip_point_{index}_type', trip.type
        yield f'{folder}/trip_point_{index}_temp', trip.temp


def _monitor_folder(monitor: Monitor) -> str:
    last = (
        f'hwmon/hwmon{monitor.index}' if monitor.form == 'hwmon' else f'iio:device{monitor.index}'
    )
    return f'{_I2C}/{monitor.device}/{last}'


def _monitor(monitor: Monitor) -> _Files:
    folder = _monitor_folder(monitor)
    yield f'{_I2C}/{monitor.device}/name', monitor.chip
    yield f'{folder}/name', monitor.chip
    volts, amps, label = (
        ('in{}_input', 'curr{}_input', 'in{}_label')
        if monitor.form == 'hwmon'
        else ('in_voltage{}_input', 'in_current{}_input', 'rail_name_{}')
    )
    for channel in monitor.channels:
        if channel.label is not None:
            yield f'{folder}/{label.format(channel.k)}', channel.label
        yield f'{folder}/{volts.format(channel.k)}', channel.mv
        yield f'{folder}/{amps.format(channel.k)}', channel.ma
        if monitor.form == 'iio':
            yield f'{folder}/in_power{channel.k}_input', channel.mv * channel.ma // 1000
    for name, text in monitor.files.items():
        yield f'{folder}/{name}', text
