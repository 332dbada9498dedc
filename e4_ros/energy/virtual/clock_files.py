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

"""Where a kernel shows a domain's clocks and the CPUs, and what a plain tree writes there.

Sources: drivers/cpufreq/cpufreq.c, drivers/devfreq/devfreq.c; the BPMP's and tegra210's debugfs as
jetson_clocks of JetPack 4 to 6 reads and writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from e4_ros.energy.boards import Board, DomainSpec

CPUS = 'sys/devices/system/cpu'
BWMGR = 'sys/kernel/debug/tegra_bwmgr'

_KHZ = 1000


def policies(spec: DomainSpec) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Folder (below the root) and CPU numbers of each cpufreq policy."""
    for cpus in spec.policies:
        yield f'{spec.path}/policy{cpus[0]}', cpus


def devfreq_folder(spec: DomainSpec) -> str:
    """Folder (below the root) of a devfreq device's attributes."""
    return f'{spec.path}/devfreq/{spec.name or spec.path.rpartition("/")[2]}'


def online(board: Board) -> dict[int, bool]:
    """CPU number → whether the CPU is on."""
    return {
        cpu: cpu in spec.cpus
        for spec in board.domains.values()
        for cpus in spec.policies
        for cpu in cpus
    }


def spans(cpus: Iterable[int]) -> str:
    """CPU numbers as the kernel lists them: `0-3,6`."""
    found: list[list[int]] = []
    for cpu in sorted(cpus):
        if found and cpu == found[-1][1] + 1:
            found[-1][1] = cpu
        else:
            found.append([cpu, cpu])
    return ','.join(str(first) if first == last else f'{first}-{last}' for first, last in found)


def cpu_files(board: Board) -> dict[str, str]:
    """Path → text of the files of the CPUs themselves: which there are, and which are online."""
    cpus = online(board)
    texts = {f'{CPUS}/cpu{cpu}/online': str(int(on)) for cpu, on in cpus.items()}
    texts |= {f'{CPUS}/{name}': spans(cpus) for name in ('possible', 'present')}
    return texts | {f'{CPUS}/online': spans(cpu for cpu, on in cpus.items() if on)}


def clock_files(spec: DomainSpec) -> dict[str, str]:
    """Path → text of the files of one domain."""
    return _KINDS[spec.kind](spec)


def _cpufreq(spec: DomainSpec) -> dict[str, str]:
    table, (low, high) = spec.frequencies_hz, spec.written_hz
    texts = {}
    for folder, cpus in policies(spec):
        governors = [governor for governor in spec.governors if governor != 'userspace']
        attributes = {
            'affected_cpus': ' '.join(str(cpu) for cpu in cpus if cpu in spec.cpus),
            'cpuinfo_max_freq': table[-1] // _KHZ,
            'cpuinfo_min_freq': table[0] // _KHZ,
            'cpuinfo_transition_latency': 300_000,
            'related_cpus': ' '.join(map(str, cpus)),
            'scaling_available_governors': ' '.join(governors),
            'scaling_driver': spec.driver,
            'scaling_governor': spec.governor,
            'scaling_max_freq': high // _KHZ,
            'scaling_min_freq': low // _KHZ,
            'scaling_setspeed': '<unsupported>',
        }
        if 'pstate' not in spec.driver:
            attributes['scaling_available_frequencies'] = ' '.join(str(hz // _KHZ) for hz in table)
        texts.update({f'{folder}/{name}': str(text) for name, text in attributes.items()})
    return texts


def _devfreq(spec: DomainSpec) -> dict[str, str]:
    folder, (low, high) = devfreq_folder(spec), spec.written_hz
    attributes = {
        'available_frequencies': ' '.join(map(str, spec.frequencies_hz)),
        'available_governors': ' '.join(spec.governors),
        'governor': spec.governor,
        'max_freq': high,
        'min_freq': low,
        'name': folder.rpartition('/')[2],
    }
    texts = {f'{folder}/{name}': str(text) for name, text in attributes.items()}
    return texts | ({f'{spec.path}/of_node/name': spec.of_node + '\0'} if spec.of_node else {})


def _bpmp(spec: DomainSpec) -> dict[str, str]:
    table, high = spec.frequencies_hz, spec.limits_hz[1]
    texts = {
        f'{spec.path}/max_rate': str(table[-1]),
        f'{spec.path}/min_rate': str(table[0]),
        f'{spec.path}/mrq_rate_locked': '0',
        f'{spec.path}/rate': str(high),
    }
    return texts | _listed(spec)


def _tegra210(spec: DomainSpec) -> dict[str, str]:
    table, high = spec.frequencies_hz, spec.limits_hz[1]
    texts = {
        f'{BWMGR}/emc_max_rate': str(table[-1]),
        f'{BWMGR}/emc_min_rate': str(table[0]),
        f'{spec.path}/clk_state': '0',
        f'{spec.path}/clk_update_rate': str(high),
    }
    return texts | _listed(spec)


def _listed(spec: DomainSpec) -> dict[str, str]:
    texts = {spec.cap: str(spec.written_hz[1])} if spec.cap else {}
    if spec.rates:
        texts[spec.rates] = ' '.join(str(hz // _KHZ) for hz in spec.frequencies_hz)
    return texts


_KINDS = {'cpufreq': _cpufreq, 'devfreq': _devfreq, 'bpmp': _bpmp, 'tegra210': _tegra210}
