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

from pathlib import Path

import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.energy.identify import identify, machine_board
from e4_ros.energy.virtual.board import MARK, write_tree

WORK = SegmentWork('net', 5e8, 2e7)


def device_tree(root: Path, model: str = '', *compatible: str) -> Path:
    folder = root / 'proc/device-tree'
    folder.mkdir(parents=True, exist_ok=True)
    if model:
        (folder / 'model').write_bytes(model.encode() + b'\0')
    if compatible:
        (folder / 'compatible').write_bytes(b''.join(c.encode() + b'\0' for c in compatible))
    return root


def anonymous(root: Path, board: str) -> Path:
    """Tree of a board without what names it."""
    write_tree(board, root)
    (root / MARK).unlink()
    for name in ('model', 'compatible'):
        (root / 'proc/device-tree' / name).unlink(missing_ok=True)
    return root


def test_a_virtual_board_says_its_own_name(tmp_path):
    assert identify(write_tree('jetson_tx2', tmp_path)) == 'jetson_tx2'


def test_a_machine_without_a_device_tree_is_a_pc(tmp_path):
    assert identify(tmp_path) == 'pc'


def test_a_real_board_is_known_by_its_model(tmp_path):
    assert identify(device_tree(tmp_path, 'NVIDIA Jetson Nano Developer Kit')) == 'jetson_nano'


@pytest.mark.parametrize(
    ('model', 'compatible', 'board'),
    [
        ('Lanner EAI-I233', 'lanner,eai-i233 nvidia,p3701-0005 nvidia,tegra234', 'jetson_agx_orin'),
        (
            'NVIDIA Jetson Orin NX Engineering Reference Developer Kit',
            'nvidia,p3768-0000+p3767-0005-super nvidia,p3767-0005 nvidia,tegra234',
            'jetson_orin_nano',
        ),
        ('', 'nvidia,p3768-0000+p3767-0005-super', 'jetson_orin_nano'),
        ('', 'nvidia,p3509-0000+p3767-0001 nvidia,tegra234', 'jetson_orin_nx_8gb'),
        ('quill', 'nvidia,p2597-0000+p3310-1000 nvidia,quill nvidia,tegra186', 'jetson_tx2'),
        ('Jetson-AGX', 'nvidia,p2972-0000 nvidia,tegra194', 'jetson_agx_xavier'),
        ('Orange Pi 5 Plus', 'xunlong,orangepi-5-plus rockchip,rk3588', 'rk3588'),
        ('Raspberry Pi 5 Model B Rev 1.1', 'raspberrypi,5-model-b brcm,bcm2712', 'raspberry_pi_5'),
        ('A Kit', 'maker,kit maker,soc', 'a_kit'),
        ('', 'not+a+module +', 'pc'),
    ],
)
def test_a_module_is_known_on_any_carrier(tmp_path, model, compatible, board):
    assert identify(device_tree(tmp_path, model, *compatible.split())) == board


@pytest.mark.parametrize(
    ('present', 'board'),
    [('0-11', 'jetson_agx_orin'), ('0-7', 'jetson_orin_nx_16gb'), ('nonsense', 'jetson_agx_orin')],
)
def test_of_boards_with_one_soc_it_is_the_one_with_as_many_cpus(tmp_path, present, board):
    device_tree(tmp_path, 'A Kit', 'maker,kit', 'nvidia,tegra234')
    (tmp_path / 'sys/devices/system/cpu').mkdir(parents=True)
    (tmp_path / 'sys/devices/system/cpu/present').write_text(f'{present}\n')
    assert identify(tmp_path) == board


def test_cpus_that_are_off_are_not_counted_on(tmp_path):
    root = write_tree('jetson_orin_nano', tmp_path)
    (root / 'sys/devices/system/cpu/online').write_text('0-1,4\n')
    assert machine_board(root).domains['cpu'].cpus == (0, 1, 4)


def test_an_unknown_model_is_a_name_made_of_its_text(tmp_path):
    assert identify(device_tree(tmp_path, 'Acme Kit, Rev. 1.1')) == 'acme_kit_rev_1_1'


def test_a_model_that_is_not_text_is_no_model(tmp_path):
    device_tree(tmp_path, 'x')
    (tmp_path / 'proc/device-tree/model').write_bytes(b'\0\0')
    assert identify(tmp_path) == 'pc'


def test_a_described_board_keeps_its_model_and_gets_the_machines_tables(tmp_path):
    root = write_tree('jetson_orin_nano', tmp_path)
    gpu = next(root.glob('sys/class/devfreq/*17000000*'))
    (gpu / 'available_frequencies').write_text('306000000 612000000\n')
    (gpu / 'max_freq').write_text('612000000\n')
    board, described = machine_board(root), load_board('jetson_orin_nano')
    assert not board.generic
    assert board.domains['gpu'].frequencies_hz == (306_000_000, 612_000_000)
    assert board.domains['gpu'].limits_hz == (306_000_000, 612_000_000)
    point = {'gpu': 306_000_000}
    assert BoardModel(board).power_w(point)['gpu'] == pytest.approx(
        BoardModel(described).power_w(point)['gpu']
    )


def test_an_unknown_machine_gets_its_tables_and_a_generic_model(tmp_path):
    root = anonymous(tmp_path, 'jetson_nano')
    board, described = machine_board(root), load_board('jetson_nano')
    assert board.generic
    assert board.name == 'pc'
    assert board.domains.keys() == described.domains.keys()
    for name, spec in described.domains.items():
        assert board.domains[name].allowed_hz == spec.allowed_hz
    assert board.domains['cpu'].cores == 4
    cost = BoardModel(board).segment_cost(WORK, {})
    assert 0 < cost.latency_s < 10
    assert cost.energy_j > 0


def test_a_generic_cpu_is_as_fast_as_it_has_cores(tmp_path):
    four = machine_board(anonymous(tmp_path / 'four', 'jetson_nano'))
    six = machine_board(anonymous(tmp_path / 'six', 'jetson_orin_nano'))
    speeds = [b.domains['cpu'].compute.macs_per_cycle.value for b in (four, six)]
    assert speeds[1] / speeds[0] == pytest.approx(6 / 4)


def test_a_machine_without_clocks_has_a_generic_board_too(tmp_path):
    board = machine_board(tmp_path)
    assert board.generic
    assert list(board.domains) == ['cpu']
    assert len(board.domains['cpu'].allowed_hz) == 1
