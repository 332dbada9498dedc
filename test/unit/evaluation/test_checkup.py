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

import importlib.util
import os
import stat
from pathlib import Path

import pytest

from e4_ros import paths
from e4_ros.energy.virtual.board import MARK, write_tree
from e4_ros.evaluation.doctor import software
from e4_ros.evaluation.doctor.checkup import check_all


@pytest.fixture(autouse=True)
def _no_daemon(monkeypatch, tmp_path):
    monkeypatch.setenv('E4_SOCKET', str(tmp_path / 'absent.sock'))


def named(checks, name):
    return next(check for check in checks if check.name == name)


def test_an_empty_machine_gets_advice_and_no_error(tmp_path):
    checks = check_all(tmp_path)
    assert {check.group for check in checks} == {'software', 'clocks', 'energy', 'access'}
    assert named(checks, 'domains').state == 'optional'
    assert named(checks, 'rails').found.startswith('no sensor')
    assert 'no daemon' in named(checks, 'DVFS daemon').found
    assert all(check.advice for check in checks if check.state != 'ok')


def test_folders_that_cannot_be_written_are_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('E4_STATE', '/proc/state')
    monkeypatch.setattr(paths, '_temporary', set())
    checks = check_all(tmp_path)
    assert named(checks, 'E4_CACHE').found == str(tmp_path / 'cache')
    assert named(checks, 'E4_STATE').state == 'optional'
    assert named(checks, 'E4_STATE').advice == 'set E4_STATE to a folder that can be kept'


@pytest.mark.parametrize('there', [True, False])
def test_it_says_whether_damaged_jpegs_are_noticed(tmp_path, monkeypatch, there):
    monkeypatch.setattr(software, '_importable', lambda name: there or name != 'simplejpeg')
    check = named(check_all(tmp_path), 'simplejpeg')
    assert (check.state, 'pip install' in check.advice) == (('ok', False), ('optional', True))[
        not there
    ]


def test_clocks_of_a_board_are_named(tmp_path):
    checks = check_all(write_tree('jetson_orin_nano', tmp_path / 'board'))
    assert [check.name for check in checks if check.group == 'clocks'] == [
        'board', 'power mode', 'cpu', 'gpu', 'emc', 'heat',
    ]  # fmt: skip
    assert named(checks, 'board').found.startswith('jetson_orin_nano: NVIDIA Jetson Orin Nano')
    mode = '1, 25W: cpu at most 1.34 GHz, gpu at most 918 MHz, emc at most 3.20 GHz'
    assert named(checks, 'power mode').found == mode
    assert '306 MHz to 918 MHz, writable' in named(checks, 'gpu').found


def test_an_unknown_board_is_called_one_with_the_way_to_a_measured_table(tmp_path):
    root = write_tree('jetson_nano', tmp_path / 'board')
    (root / MARK).unlink()
    (root / 'proc/device-tree/compatible').write_text('maker,kit\0')
    (root / 'proc/device-tree/model').write_text('A Kit\0')
    board = named(check_all(root), 'board')
    assert board.state == 'optional'
    assert board.found == 'a_kit: not described, its speed and power are guesses'
    assert 'e4 profile --board here' in board.advice


def test_what_holds_the_clocks_down_is_said(tmp_path):
    root = write_tree('jetson_orin_nano', tmp_path / 'board')
    zone = next(root.glob('sys/class/thermal/thermal_zone*/temp'))
    zone.write_text('97000\n')
    for path, text in {
        'class/thermal/cooling_device9/type': 'devfreq-17000000.gpu',
        'class/thermal/cooling_device9/cur_state': '2',
        'class/thermal/cooling_device9/max_state': '9',
        'devices/platform/gpu.0/tpc_pg_mask': '240',
    }.items():
        file = root / 'sys' / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{text}\n')
    checks = check_all(root)
    heat = named(checks, 'heat')
    assert (heat.state, '97 °C, limit 95 °C' in heat.found) == ('optional', True)
    assert 'devfreq-17000000.gpu cools (2 of 9)' in named(checks, 'slowed down').found
    assert named(checks, 'GPU cores').found.startswith('4 TPCs are off')


def test_a_clock_that_may_not_be_written_says_who_may(tmp_path, monkeypatch):
    root = write_tree('jetson_orin_nano', tmp_path / 'board')
    closed = next(root.rglob('max_freq'))
    closed.chmod(closed.stat().st_mode & ~(stat.S_IWGRP | stat.S_IWOTH))
    monkeypatch.setattr(
        'e4_ros.energy.domains.devfreq.DevfreqDomain.unwritable', lambda _: [closed]
    )
    gpu = named(check_all(root), 'gpu')
    assert gpu.state == 'optional'
    assert 'not writable' in gpu.found
    assert str(closed) in gpu.advice


def test_a_library_that_breaks_on_import_is_reported_not_raised(tmp_path, monkeypatch):
    (tmp_path / 'brokenlib.py').write_text('raise OSError("libcudart.so.13: cannot open")')
    monkeypatch.syspath_prepend(tmp_path)
    check = software.library('brokenlib', 'install it again', str)
    assert check.state == 'missing'
    assert 'libcudart' in check.found
    assert check.advice == 'install it again'


def test_a_library_that_is_not_here_is_missing():
    check = software.library('no_such_library', 'install it', str)
    assert (check.state, check.found) == ('missing', 'not here')


def test_a_sourced_ros_of_another_python_is_an_error(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name == 'rclpy' else real(name)
    )
    monkeypatch.setenv('ROS_DISTRO', 'humble')
    assert software.ros().state == 'missing'
    monkeypatch.delenv('ROS_DISTRO')
    assert software.ros().state == 'optional'


@pytest.mark.skipif(os.geteuid() == 0, reason='root is in no group that matters')
def test_groups_of_this_user_are_named():
    import grp

    assert grp.getgrgid(os.getegid()).gr_name in named(check_all(Path('/')), 'groups').found


def test_running_needs_no_torch(monkeypatch):
    monkeypatch.setattr(software, '_importable', lambda name: name != 'torch')
    (torch,) = (check for check in software.software() if check.name == 'torch')
    assert torch.state == 'optional'
    assert 'e4 build' in torch.advice
