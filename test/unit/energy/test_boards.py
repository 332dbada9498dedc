from __future__ import annotations

import pytest
import yaml

from e4_ros import paths
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
