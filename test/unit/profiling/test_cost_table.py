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

import dataclasses
import json

import numpy as np
import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.profiling.planning.cost_table import CostTable, CostTableError
from e4_ros.profiling.planning.identity import Identity

WORKS = [SegmentWork('a', 1e8, 1e7, 3), SegmentWork('b', 2e8, 1e6, 3)]


@pytest.fixture
def table() -> CostTable:
    return CostTable.from_board(BoardModel(load_board('jetson_nano')), WORKS, 'net')


def test_cells_are_the_board_models_costs(table):
    model = BoardModel(load_board('jetson_nano'))
    assert table.latency_s.shape == (2, 15 * 12)
    for p in (0, 17, 179):
        cost = model.segment_cost(WORKS[1], table.point(p))
        assert table.latency_s[1, p] == pytest.approx(cost.latency_s)
        assert table.energy_j[1, p] == pytest.approx(cost.energy_j)


def test_points_and_indices_are_inverse(table):
    for p in range(180):
        assert table.index(table.point(p)) == p
        assert int(table.coordinates[p] @ table.strides) == p


def test_a_foreign_point_is_refused(table):
    with pytest.raises(CostTableError, match='not a point'):
        table.index({'cpu': 1, 'gpu': 2})


def test_a_table_survives_its_file(table, tmp_path):
    table.save(tmp_path / 'table.json')
    again = CostTable.load(tmp_path / 'table.json')
    assert again.axes_hz == table.axes_hz
    assert (again.energy_j == table.energy_j).all()
    assert np.isnan(again.error_percent)


@pytest.mark.parametrize('bad', [np.nan, np.inf, 0.0, -1.0])
def test_holes_and_nonsense_are_refused(table, bad):
    cells = table.latency_s.copy()
    cells[1, 3] = bad
    with pytest.raises(CostTableError, match=r'holes|positive'):
        dataclasses.replace(table, latency_s=cells)


def test_a_wrong_shape_is_refused(table):
    with pytest.raises(CostTableError, match='shape'):
        dataclasses.replace(table, energy_j=table.energy_j[:, :-1])


def test_a_table_of_another_model_is_refused(table):
    there = ['cuda', 'cuda']
    table.check_for('net', ['a', 'b'], there)
    with pytest.raises(CostTableError, match='measure it again'):
        table.check_for('other', ['a', 'b'], there)
    with pytest.raises(CostTableError, match='measure it again'):
        table.check_for('net', ['a', 'b', 'c'], [*there, 'cuda'])


def test_a_table_of_another_device_is_refused_with_both(table):
    with pytest.raises(CostTableError, match='on cuda, cuda, here they run on cpu, tensorrt'):
        table.check_for('net', ['a', 'b'], ['cpu', 'tensorrt'])


def test_the_devices_survive_the_file(table, tmp_path):
    placed = dataclasses.replace(table, devices=('cpu', 'tensorrt'))
    placed.save(tmp_path / 'table.json')
    assert CostTable.load(tmp_path / 'table.json').devices == ('cpu', 'tensorrt')


def test_a_device_short_is_refused(table):
    with pytest.raises(CostTableError, match='2 segments but 1 devices'):
        dataclasses.replace(table, devices=('cpu',))


@pytest.mark.parametrize('text', ['', '[]', '{"board": 1}', 'nonsense'])
def test_a_file_that_is_no_table_says_so(tmp_path, text):
    path = tmp_path / 'table.json'
    path.write_text(text)
    with pytest.raises(CostTableError, match=r'table\.json'):
        CostTable.load(path)


def test_a_file_with_a_hole_says_so(table, tmp_path):
    data = table.as_dict()
    data['energy_j'][0][5] = None
    path = tmp_path / 'table.json'
    path.write_text(json.dumps(data))
    with pytest.raises(CostTableError, match='holes'):
        CostTable.load(path)


HERE = Identity('jetson_nano', 'nvpmodel:0:MAXN', 'abc')


def test_where_a_table_was_measured_survives_its_file(table, tmp_path):
    measured = dataclasses.replace(table, power_mode='nvpmodel:0:MAXN', bundle='abc')
    measured.save(tmp_path / 'table.json')
    assert CostTable.load(tmp_path / 'table.json').identity == HERE
    CostTable.load(tmp_path / 'table.json').check_here(HERE)


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        ({'board': 'jetson_tx2'}, 'board jetson_tx2, this is jetson_nano'),
        ({'power_mode': 'nvpmodel:1:5W'}, 'power mode nvpmodel:1:5W, .* in power mode .*:MAXN now'),
        ({'power_mode': ''}, 'no power mode, the board is in power mode nvpmodel:0:MAXN now'),
        ({'bundle': 'def'}, 'network files def, those here are abc'),
        ({'bundle': ''}, 'unnamed network files, those here are abc'),
    ],
)
def test_a_table_of_another_place_is_refused_with_the_command_that_makes_one(table, change, says):
    measured = dataclasses.replace(
        table, **{'power_mode': 'nvpmodel:0:MAXN', 'bundle': 'abc', **change}
    )
    with pytest.raises(CostTableError, match=says) as refused:
        measured.check_here(HERE)
    assert '`e4 profile --board here`' in str(refused.value)
    assert table.model in str(refused.value)


def test_clocks_that_a_board_does_not_offer_are_refused_and_limits_are_none(table):
    offered = dict(zip(table.domains, table.axes_hz, strict=True))
    table.check_clocks(offered)
    table.check_clocks({name: axis[:2] for name, axis in offered.items()})
    for other in ({}, {**offered, 'gpu': ()}, {**offered, 'cpu': (1, *offered['cpu'][2:])}):
        with pytest.raises(CostTableError, match='does not offer now'):
            table.check_clocks(other)
