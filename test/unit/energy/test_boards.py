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

import pytest
import yaml

from e4_ros import paths
from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import Board, BoardError, Sourced, board_names, load_board

JETSONS = [
    'jetson_agx_orin',
    'jetson_nano',
    'jetson_orin_nano',
    'jetson_tx2',
    'jetson_xavier_nx',
]


def raw(name: str) -> dict:
    return yaml.safe_load((paths.config_dir() / 'boards' / f'{name}.yaml').read_text())


def test_the_five_jetsons_ship_and_load():
    assert set(JETSONS) <= set(board_names())
    for name in board_names():
        assert load_board(name).name == name


@pytest.mark.parametrize('name', board_names())
def test_each_number_names_its_source(name):
    board = load_board(name)
    found = []

    def walk(value):
        if isinstance(value, Sourced):
            found.append(value)
        elif isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif hasattr(value, 'model_fields_set'):
            for inner in type(value).model_fields:
                walk(getattr(value, inner))

    walk(board)
    assert len(found) > 10
    assert all(len(number.source) > 3 for number in found)
    assert all(number.value >= 0 for number in found)


@pytest.mark.parametrize('name', board_names())
def test_limits_stay_inside_the_table(name):
    for domain in load_board(name).domains.values():
        low, high = domain.limits_hz
        assert low in domain.frequencies_hz
        assert high in domain.frequencies_hz
        assert domain.allowed_hz[-1] == high
        assert list(domain.frequencies_hz) == sorted(set(domain.frequencies_hz))


def test_tables_of_the_reference():
    assert len(load_board('jetson_nano').domains['gpu'].frequencies_hz) == 12
    assert load_board('jetson_nano').domains['gpu'].frequencies_hz[:2] == (76_800_000, 153_600_000)
    assert load_board('jetson_tx2').domains['gpu'].frequencies_hz[-1] == 1_300_500_000
    assert load_board('jetson_orin_nano').domains['cpu'].limits_hz[1] == 1_344_000_000


def test_unknown_board_lists_the_known_ones():
    with pytest.raises(BoardError, match='jetson_orin_nano'):
        load_board('jetson_banana')


def test_a_file_is_read_and_a_changed_file_read_again(tmp_path):
    data = raw('jetson_nano')
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump(data))
    assert load_board(str(path)).title == data['title']


@pytest.mark.parametrize(
    ('change', 'complaint'),
    [
        (lambda d: d['domains'].pop('cpu'), 'cpu'),
        (lambda d: d['domains']['gpu']['table']['mhz'].reverse(), 'ascending'),
        (lambda d: d['domains']['gpu'].update(colour='green'), 'colour'),
        (lambda d: d['domains']['gpu']['power'].update(static_w=0.2), 'static_w'),
        (lambda d: d['rails'][0].update(loads=['npu']), 'npu'),
        (lambda d: d['rails'][0].update(device='ina999'), 'ina999'),
        (lambda d: d.update(memory={'bytes_per_s': [1e9, 'assumed']}), 'bytes_per_cycle'),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path, change, complaint):
    data = raw('jetson_nano')
    change(data)
    path = tmp_path / 'wrong.yaml'
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(BoardError, match=complaint):
        load_board(str(path))


def test_text_that_is_no_yaml(tmp_path):
    path = tmp_path / 'wrong.yaml'
    path.write_text('{unclosed: [')
    with pytest.raises(BoardError, match=r'wrong\.yaml'):
        load_board(str(path))


def test_boards_are_immutable():
    board: Board = load_board('jetson_nano')
    with pytest.raises(ValueError, match='frozen'):
        board.name = 'other'


def with_modes() -> dict:
    data = raw('jetson_nano')
    data['domains']['gpu']['compute']['units'] = 4
    data['power_modes'] = {
        'MAXN': {'id': 0, 'source': 'a test'},
        '5W': {
            'id': 1,
            'limits_mhz': {'cpu': [204, 918], 'gpu': [None, 640]},
            'cpus_online': [0, 1],
            'gpu_tpcs': 2,
            'source': 'a test',
        },
    }
    data['shipped_mode'] = '5W'
    return data


def loaded(tmp_path, data: dict) -> Board:
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump(data))
    return load_board(str(path))


def test_a_board_comes_in_the_mode_that_it_ships_in(tmp_path):
    board = loaded(tmp_path, with_modes())
    assert board.mode == '5W'
    assert board.domains['cpu'].limits_hz == (204_000_000, 825_600_000)
    assert board.domains['gpu'].limits_hz == (76_800_000, 614_400_000)
    assert board.domains['cpu'].cores == 2


def test_what_a_mode_switches_off_neither_computes_nor_draws(tmp_path):
    board = loaded(tmp_path, with_modes())
    whole = board.in_mode('MAXN')
    for name in ('cpu', 'gpu'):
        assert board.domains[name].macs_per_cycle * 2 == whole.domains[name].macs_per_cycle
    point = {'cpu': 204_000_000, 'gpu': 76_800_000}
    half_w, whole_w = (BoardModel(b).power_w(point) for b in (board, whole))
    assert half_w['cpu'] * 2 == pytest.approx(whole_w['cpu'])
    assert half_w['gpu'] * 2 == pytest.approx(whole_w['gpu'])
    assert half_w['emc'] == whole_w['emc']


def test_cpus_may_go_offline_one_by_one(tmp_path):
    board = loaded(tmp_path, with_modes()).in_mode('MAXN')
    assert board.with_cpus([0, 1, 2]).domains['cpu'].share == 0.75
    assert board.with_cpus([0, 1, 2]).with_cpus(range(4)).domains['cpu'].share == 1


def test_a_mode_and_back_is_the_same_board(tmp_path):
    board = loaded(tmp_path, with_modes())
    assert board.in_mode('MAXN').in_mode('5W') == board
    assert board.in_mode('5W') == board


def test_a_mode_that_the_board_lacks_is_named_with_those_it_has(tmp_path):
    with pytest.raises(BoardError, match='5W, MAXN'):
        loaded(tmp_path, with_modes()).in_mode('10W')


@pytest.mark.parametrize(
    ('change', 'complaint'),
    [
        (lambda d: d.update(shipped_mode='10W'), '10W'),
        (lambda d: d['power_modes']['5W']['limits_mhz'].update(npu=[1, 2]), 'npu'),
        (lambda d: d['power_modes']['5W']['limits_mhz'].update(cpu=[900, 300]), 'above its top'),
        (lambda d: d['power_modes']['5W'].update(cpus_online=[0, 9]), 'unknown CPUs'),
        (lambda d: d['power_modes']['5W'].update(cpus_online=[]), 'cpus_online'),
        (lambda d: d['power_modes']['5W'].update(gpu_tpcs=8), '8 TPCs of 4'),
        (lambda d: d['thermal']['zones'][0].update(trips=[['melting', 95]]), 'trips'),
        (
            lambda d: d.update(
                idle_states=[
                    {
                        'name': 'c7',
                        'min_residency_s': [0.03, 'x'],
                        'exit_latency_s': [0.005, 'x'],
                        'saves': {'npu': [1, 'x']},
                    }
                ]
            ),
            'idle state c7',
        ),
    ],
)
def test_a_wrong_mode_zone_or_idle_state_is_refused(tmp_path, change, complaint):
    data = with_modes()
    change(data)
    with pytest.raises(BoardError, match=complaint):
        loaded(tmp_path, data)
