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

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import board_names, load_board
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.profiling.planning.objective import PlanningError
from e4_ros.profiling.planning.planner import plan

WORKS = [
    SegmentWork('prepare', 3e6, 2e6, 10, 'cpu'),
    SegmentWork('early', 150e6, 20e6, 20),
    SegmentWork('exit', 8e6, 1e6, 4),
    SegmentWork('late', 600e6, 30e6, 40),
]
PATHS = {'temporal': [0], 'mid': [0, 1, 2], 'full': [0, 1, 2, 3]}
SHARES = {'temporal': 0.6, 'mid': 0.2, 'full': 0.2}


@pytest.mark.parametrize('board', board_names())
def test_a_plan_costs_no_more_than_the_default_and_meets_its_deadline(board):
    found = plan(board, WORKS, PATHS, SHARES, model='net')
    model = BoardModel(load_board(board))
    top = {p: {d: load_board(board).domains[d].limits_hz[1] for d in found.domains} for p in PATHS}

    def at_top(path: str) -> tuple[float, float]:
        costs = [model.segment_cost(WORKS[i], top[path]) for i in PATHS[path]]
        return sum(c.latency_s for c in costs), sum(c.energy_j for c in costs)

    fastest_s = at_top('full')[0]
    assert found.paths['full'].expected_latency_s <= 3 * fastest_s * (1 + 1e-9)
    planned = sum(SHARES[e] * found.paths[e].expected_energy_j for e in PATHS)
    default = sum(SHARES[e] * at_top(e)[1] for e in PATHS)
    assert planned <= default * 1.005  # clocks that come late cost a little more than planned
    if board in ('jetson_nano', 'jetson_xavier_nx', 'jetson_orin_nano'):
        assert planned < 0.99 * default


def test_a_segment_has_the_same_clocks_on_every_path():
    found = plan('jetson_nano', WORKS, PATHS, SHARES, model='net')
    for segment in range(len(WORKS)):
        points = [found.point(e, segment) for e in PATHS if segment in PATHS[e]]
        assert all(point == points[0] for point in points)


def test_a_plan_survives_its_file_and_fits_its_board(tmp_path):
    found = plan('jetson_xavier_nx', WORKS, PATHS, SHARES, model='net', domains=('cpu', 'emc'))
    found.save(tmp_path / 'plan.yaml')
    assert FrequencyPlan.load(tmp_path / 'plan.yaml') == found
    tables = {n: d.frequencies_hz for n, d in load_board('jetson_xavier_nx').domains.items()}
    found.check_domains(tables)
    assert set(found.domains) == {'cpu', 'emc'}
    assert found.source == 'modelled'


def test_a_tighter_deadline_costs_energy():
    loose = plan('jetson_nano', WORKS, PATHS, SHARES, 0.06)
    tight = plan('jetson_nano', WORKS, PATHS, SHARES, 0.024)
    assert tight.paths['full'].expected_latency_s <= 0.024
    assert tight.paths['full'].expected_energy_j > loose.paths['full'].expected_energy_j


@pytest.mark.parametrize(
    ('shares', 'deadline_s', 'complaint'),
    [
        ({}, 0.0, 'distribution'),
        ({'full': 0.0}, 0.0, 'distribution'),
        ({'full': float('nan')}, 0.0, 'distribution'),
        ({'full': 2.0, 'mid': -1.0}, 0.0, 'distribution'),
        ({'fulll': 1.0}, 0.0, 'unknown exit fulll'),
        ({'full': 1.0}, 1e-4, 'the fastest needs'),
        ({'full': 1.0}, -1.0, 'the fastest needs'),
    ],
)
def test_what_cannot_be_planned_says_why(shares, deadline_s, complaint):
    with pytest.raises(PlanningError, match=complaint):
        plan('jetson_nano', WORKS, PATHS, shares, deadline_s)


def test_a_path_that_leaves_the_segments_is_refused():
    with pytest.raises(PlanningError, match='leaves'):
        plan('jetson_nano', WORKS, {'full': [0, 9]}, {'full': 1.0})


def test_unknown_domain_is_refused():
    with pytest.raises(ValueError, match='npu'):
        plan('jetson_nano', WORKS, PATHS, SHARES, domains=('cpu', 'npu'))
