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

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.energy.virtual.board import write_tree
from e4_ros.evaluation.doctor.power import check_power

CPUS = 'sys/devices/system/cpu'
IDLE = f'{CPUS}/cpu0/cpuidle/state1'
GPU = 'sys/class/devfreq/17000000.gpu'
EMC = 'sys/kernel/debug/bpmp/debug/clk/emc'


def tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{text}\n')
    return root


def looked_at(root, files, sleep=lambda s: None):
    """The checks by name, without the line of a kernel that shows no idle states."""
    checks = check_power(tree(root, files), sleep=sleep)
    return {c.name: c for c in checks if c.found != 'the kernel shows none'}


def test_a_machine_without_anything_is_told_that_its_kernel_shows_no_idle_states(
    tmp_path,
):
    (only,) = check_power(tmp_path, look_s=0.0)
    assert (only.name, only.state) == ('idle states', 'optional')


def test_a_virtual_board_is_looked_at_without_an_error(tmp_path):
    checks = check_power(write_tree('jetson_orin_nano', tmp_path / 'board'), look_s=0.0)
    assert {check.group for check in checks} <= {'chip', 'around', 'buses'}
    assert all(check.advice for check in checks if check.state != 'ok')


def test_idle_states_are_watched_and_those_that_are_off_are_named(tmp_path):
    files = {f'{IDLE}/name': 'c7', f'{IDLE}/time': '5', f'{IDLE}/disable': '0'}

    def sleep(s):
        (tmp_path / IDLE / 'time').write_text(f'{5 + int(s * 750_000)}\n')

    free = looked_at(tmp_path, files, sleep)['idle states']
    assert (free.state, free.found) == ('ok', 'of the last moment: c7 75%')
    off = looked_at(tmp_path, files | {f'{IDLE}/disable': '1'})['idle states']
    assert off.state == 'optional'
    assert off.found == 'switched off: c7 on 1 CPUs; of the last moment: c7 0%'
    assert f'echo 0 | sudo tee /{CPUS}/cpu*/cpuidle/state*/disable' in off.advice


def test_cpus_that_the_load_does_not_need_are_named_but_for_one_in_reserve(tmp_path):
    files = {f'{CPUS}/cpu{i}/online': '1' for i in range(1, 6)}
    files |= {f'{CPUS}/online': '0-5', 'proc/loadavg': '0.10 1.40 0.90 1/200 999'}
    check = looked_at(tmp_path, files)['CPUs']
    assert check.found.endswith('3 of them are not needed')
    assert all(f'cpu{i}/online' in check.advice for i in (3, 4, 5))
    assert 'cpu2/online' not in check.advice
    busy = looked_at(tmp_path, files | {'proc/loadavg': '5.10 1.40 0.90 1/200 999'})['CPUs']
    assert (busy.state, busy.advice) == ('ok', '')


@pytest.mark.parametrize('load', ['', 'nan nan nan', 'much'])
def test_without_a_load_nothing_is_said_of_the_cpus(tmp_path, load):
    assert not looked_at(tmp_path, {f'{CPUS}/online': '0-5', 'proc/loadavg': load})


def test_a_gpu_that_is_kept_on_is_told_from_one_that_may_sleep(tmp_path):
    files = {
        f'{GPU}/device/power/control': 'on',
        f'{GPU}/device/power/runtime_status': 'active',
        f'{GPU}/device/railgate_enable': '0',
    }
    kept = looked_at(tmp_path, files)['GPU 17000000.gpu']
    assert (kept.state, kept.found) == ('optional', 'now active, power on, rail 0')
    assert f'echo auto | sudo tee /{GPU}/device/power/control' in kept.advice
    assert f'echo 1 | sudo tee /{GPU}/device/railgate_enable' in kept.advice
    free = {f'{GPU}/device/power/control': 'auto', f'{GPU}/device/railgate_enable': '1'}
    assert looked_at(tmp_path, files | free)['GPU 17000000.gpu'].state == 'ok'


def test_clocks_that_are_held_at_their_top_are_named(tmp_path):
    files = {
        f'{GPU}/device/power/control': 'auto',
        f'{GPU}/available_frequencies': '306000000 612000000',
        f'{GPU}/min_freq': '612000000',
        f'{GPU}/max_freq': '612000000',
        f'{EMC}/rate': '3199000000',
        f'{EMC}/max_rate': '3199000000',
        f'{EMC}/mrq_rate_locked': '1',
    }
    found = looked_at(tmp_path, files)
    assert found['GPU clock 17000000.gpu'].found == 'held at 612 MHz'
    assert f'echo 306000000 | sudo tee /{GPU}/min_freq' in found['GPU clock 17000000.gpu'].advice
    assert found['memory clock'].found == 'locked at its top, 3.20 GHz of 3.20 GHz'
    free = files | {f'{GPU}/min_freq': '306000000', f'{EMC}/mrq_rate_locked': '0'}
    found = looked_at(tmp_path, free)
    assert found['memory clock'].state == 'ok'
    assert 'GPU clock 17000000.gpu' not in found


def test_what_only_root_may_see_of_the_memory_is_said(tmp_path):
    (tmp_path / 'sys/devices/platform/bpmp').mkdir(parents=True)
    assert 'only root' in looked_at(tmp_path, {})['memory clock'].found


def test_displays_radios_and_sound_that_are_on_are_named(tmp_path):
    files = {
        'sys/class/drm/card0-HDMI-A-1/status': 'connected',
        'sys/class/drm/card0-HDMI-A-1/dpms': 'On',
        'sys/class/drm/card0-DP-1/status': 'disconnected',
        'sys/class/net/wlan0/operstate': 'up',
        'sys/class/net/wlan0/phy80211/index': '0',
        'sys/class/net/eth0/operstate': 'up',
        'sys/class/rfkill/rfkill0/type': 'bluetooth',
        'sys/class/rfkill/rfkill0/soft': '0',
        'sys/class/rfkill/rfkill0/hard': '0',
        'sys/class/sound/card0/id': 'tegra',
        'proc/asound/card0/pcm0p/sub0/status': 'state: RUNNING',
    }
    found = looked_at(tmp_path, files)
    assert set(found) == {'display card0-HDMI-A-1', 'Wi-Fi wlan0', 'Bluetooth', 'sound'}
    assert all(check.state == 'optional' and '`' in check.advice for check in found.values())
    rests = {
        'sys/class/drm/card0-HDMI-A-1/dpms': 'Off',
        'sys/class/net/wlan0/operstate': 'down',
        'sys/class/rfkill/rfkill0/soft': '1',
        'proc/asound/card0/pcm0p/sub0/status': 'closed',
    }
    assert {c.state for c in looked_at(tmp_path, files | rests).values()} == {'ok'}
    codec = {'sys/module/snd_hda_intel/parameters/power_save': '0'}
    assert 'never sleeps' in looked_at(tmp_path, files | rests | codec)['sound'].found


def test_devices_on_buses_that_never_sleep_are_named_with_what_they_are(tmp_path):
    files = {
        'sys/bus/usb/devices/1-2/power/control': 'on',
        'sys/bus/usb/devices/1-2/product': 'Camera',
        'sys/bus/usb/devices/usb1/power/control': 'auto',
        'sys/bus/usb/devices/1-2:1.0/bInterfaceClass': '0e',
        'sys/bus/pci/devices/0000:01:00.0/power/control': 'on',
        'sys/module/pcie_aspm/parameters/policy': '[default] performance powersave',
        'sys/class/nvme/nvme0/power/pm_qos_latency_tolerance_us': '0',
        'sys/module/nvme_core/parameters/default_ps_max_latency_us': '100000',
    }
    found = looked_at(tmp_path, files)
    assert found['USB'].found == '1 of 2 devices never sleep: 1-2 Camera'
    assert 'sudo tee /sys/bus/usb/devices/1-2/power/control' in found['USB'].advice
    assert found['PCIe'].found == '1 of 1 devices never sleep: 0000:01:00.0 no driver'
    assert found['PCIe links'].state == found['nvme0'].state == 'optional'
    rests = {
        'sys/bus/usb/devices/1-2/power/control': 'auto',
        'sys/bus/pci/devices/0000:01:00.0/power/control': 'auto',
        'sys/module/pcie_aspm/parameters/policy': 'default performance [powersave]',
        'sys/class/nvme/nvme0/power/pm_qos_latency_tolerance_us': '100000',
    }
    found = looked_at(tmp_path, files | rests)
    assert {check.state for check in found.values()} == {'ok'}
    assert 'at most 100000 µs' in found['nvme0'].found


def test_files_that_hold_no_number_are_holes_and_no_errors(tmp_path):
    files = {
        f'{IDLE}/time': 'soon',
        f'{IDLE}/disable': '',
        f'{GPU}/available_frequencies': 'many',
        f'{GPU}/min_freq': 'low',
        f'{GPU}/device/power/control': '',
        f'{EMC}/rate': '',
        f'{CPUS}/online': 'all',
        'proc/loadavg': '0.1 0.1 0.1 1/2 3',
        'sys/class/nvme/nvme0/power/pm_qos_latency_tolerance_us': '',
        'sys/module/pcie_aspm/parameters/policy': 'default',
    }
    assert set(looked_at(tmp_path, files)) == {'idle states'}


def test_the_command_prints_what_could_sleep_and_ends_well(tmp_path):
    tree(tmp_path, {'sys/class/nvme/nvme0/power/pm_qos_latency_tolerance_us': '0'})
    arguments = ['doctor', '--power', '--json', '--sysfs-root', str(tmp_path)]
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 0
    assert [check['name'] for check in json.loads(said.stdout)] == ['idle states', 'nvme0']
