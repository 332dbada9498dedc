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

"""Whether CPUs, GPU and memory may sleep between two frames.

Sources: Documentation/admin-guide/pm/cpuidle.rst; Documentation/core-api/cpu_hotplug.rst;
Documentation/ABI/testing/sysfs-devices-power; NVIDIA's `jetson_clocks`, which disables idle states,
locks the clocks at their top and keeps the GPU's rail on, and `nvgpu`'s `railgate_enable`.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from e4_ros.energy.domains import bpmp, devfreq
from e4_ros.evaluation.doctor.attributes import command, number, text
from e4_ros.evaluation.doctor.check import Check
from e4_ros.perception.palette import hertz

_CPUS = 'sys/devices/system/cpu'
_BPMP = 'sys/devices/platform/bpmp'
_SPARE_CPUS = 1  # beside what the load asks for, so that a burst does not wait
_UNLOCK = '`sudo jetson_clocks --restore` gives back what was stored before'


def idle_states(
    root: Path, look_s: float = 1.0, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Check]:
    """How deep the CPUs sleep now, and which of their idle states are switched off."""
    states = sorted(root.glob(f'{_CPUS}/cpu[0-9]*/cpuidle/state[0-9]*'))
    if not states:
        yield Check(
            'chip', 'idle states', 'optional', 'the kernel shows none',
            'virtual machines have none; on a board, its kernel needs a cpuidle driver',
        )  # fmt: skip
        return
    names = {state: text(state / 'name') or state.name for state in states}
    before, started_s = _times_s(states), time.monotonic()
    sleep(look_s)
    after, lasted_s = _times_s(states), max(time.monotonic() - started_s, look_s)
    slept_s = dict.fromkeys(names.values(), 0.0)
    for state in before.keys() & after.keys():
        slept_s[names[state]] += after[state] - before[state]
    cpus = len({state.parent for state in states})
    shares = {
        name: min(max(s / (lasted_s * cpus), 0.0), 1.0) if lasted_s else 0.0
        for name, s in slept_s.items()
    }
    found = 'of the last moment: ' + ', '.join(f'{n} {share:.0%}' for n, share in shares.items())
    off = Counter(names[state] for state in states if number(state / 'disable'))
    if not off:
        yield Check('chip', 'idle states', 'ok', found)
        return
    told = ', '.join(f'{name} on {n} CPUs' for name, n in off.items())
    files = f'{_CPUS}/cpu*/cpuidle/state*/disable'
    yield Check(
        'chip', 'idle states', 'optional', f'switched off: {told}; {found}',
        f'waiting CPUs would be without clock or supply: {command("0", files)}; {_UNLOCK}',
    )  # fmt: skip


def _times_s(states: list[Path]) -> dict[Path, float]:
    """Time in each idle state since the start, of those that say it."""
    times = {state: number(state / 'time') for state in states}
    return {state: us * 1e-6 for state, us in times.items() if us is not None}


def cores(root: Path) -> Iterator[Check]:
    """CPUs that are on and that the load of the last quarter of an hour did not need."""
    online = _listed(text(root / _CPUS / 'online'))
    loads = text(root / 'proc/loadavg').split()[:3]
    try:
        load = max(map(float, loads))
    except ValueError:
        return
    if not online or not math.isfinite(load):
        return
    found = f'{len(online)} on, load at most {load:.2f} in a quarter of an hour'
    surplus = len(online) - math.ceil(load) - _SPARE_CPUS
    can_go = [cpu for cpu in online if (root / _CPUS / f'cpu{cpu}/online').exists()]
    off = can_go[-surplus:] if surplus > 0 else []
    if not off:
        yield Check('chip', 'CPUs', 'ok', found)
        return
    files = (f'{_CPUS}/cpu{cpu}/online' for cpu in off)
    yield Check(
        'chip', 'CPUs', 'optional', f'{found}: {len(off)} of them are not needed',
        'CPUs that are off draw nothing, and a cluster without CPUs loses its supply; threads '
        f'pinned to them move: {command("0", *files)}, or a power mode with fewer CPUs',
    )  # fmt: skip


def _listed(ranges: str) -> list[int]:
    """CPUs of a list such as ``0-3,5``; none where it cannot be understood."""
    found: list[int] = []
    for part in filter(None, ranges.split(',')):
        first, _, last = part.partition('-')
        try:
            found += range(int(first), int(last or first) + 1)
        except ValueError:
            return []
    return found


def gpus(root: Path) -> Iterator[Check]:
    """Whether each GPU is switched off while nothing runs on it, and its clock free to fall."""
    for place in sorted((root / 'sys/class/devfreq').glob('*')):
        if not devfreq.is_gpu(place):
            continue
        yield from _held_at_top(place, f'GPU clock {place.name}')
        device = place / 'device'
        control, gate = text(device / 'power/control'), text(device / 'railgate_enable')
        where = f'sys/class/devfreq/{place.name}/device'
        if not control and not gate:
            continue
        status = text(device / 'power/runtime_status') or 'unknown'
        found = ', '.join(
            filter(None, (f'now {status}', control and f'power {control}', gate and f'rail {gate}'))
        )
        awake = [command('auto', f'{where}/power/control')] if control == 'on' else []
        awake += [command('1', f'{where}/railgate_enable')] if gate == '0' else []
        yield Check(
            'chip', f'GPU {place.name}', 'optional' if awake else 'ok', found,
            f'a GPU without work would lose its supply; the first frame after waits for it: '
            f'{" and ".join(awake)}' if awake else '',
        )  # fmt: skip


def memory(root: Path) -> Iterator[Check]:
    """Whether the memory's clock is held at its top, as `jetson_clocks` does."""
    for place in sorted((root / 'sys/class/devfreq').glob('*')):
        if devfreq.is_memory(place):
            yield from _held_at_top(place, f'memory clock {place.name}')
    folder = root / bpmp.EMC
    lock, rate, top = (number(folder / file) for file in (bpmp.LOCK, bpmp.RATE, 'max_rate'))
    if rate is None or top is None:
        if (root / _BPMP).is_dir() and not os.access(root / bpmp.EMC, os.F_OK):
            yield Check(
                'chip', 'memory clock', 'optional', 'only root sees whether it is locked',
                '`sudo e4 doctor --power`',
            )  # fmt: skip
        return
    held = bool(lock) and rate >= top
    yield Check(
        'chip', 'memory clock', 'optional' if held else 'ok',
        f'{"locked at its top" if held else "locked" if lock else "follows the traffic"}, '
        f'{hertz(rate)} of {hertz(top)}',
        'the memory would slow down between frames: '
        f'{command("0", f"{bpmp.EMC}/{bpmp.LOCK}")}; {_UNLOCK}' if held else '',
    )  # fmt: skip


def _held_at_top(device: Path, name: str) -> Iterator[Check]:
    """Whether a devfreq clock has no room below its top."""
    low, high = (number(device / file) for file in devfreq.FILES)
    listed = [int(hz) for hz in text(device / 'available_frequencies').split() if hz.isdigit()]
    if low is None or high is None or not listed or low <= min(listed):
        return
    held = low >= high
    lowest = str(min(listed))
    yield Check(
        'chip', name, 'optional', f'{"held at" if held else "never below"} {hertz(low)}',
        f'it could fall to {hertz(min(listed))}: '
        f'{command(lowest, f"sys/class/devfreq/{device.name}/{devfreq.LOW}")}; {_UNLOCK}',
    )  # fmt: skip
