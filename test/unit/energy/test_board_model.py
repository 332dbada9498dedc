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

from dataclasses import replace

import numpy as np
import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork, works_as_if_on, works_of
from e4_ros.energy.boards import board_names, load_board
from e4_ros.energy.meters.rails import counted
from e4_ros.vision.inference.compiled_network import Segment

HEAVY = SegmentWork('heavy', macs=700e6, bytes_moved=60e6, layers=60)


@pytest.fixture(params=board_names())
def model(request) -> BoardModel:
    return BoardModel(load_board(request.param))


def test_higher_clocks_are_never_slower(model):
    for name, spec in model.board.domains.items():
        points = [{name: hz} for hz in spec.frequencies_hz]
        latency_s, _ = model.costs([HEAVY], points)
        assert (np.diff(latency_s[0]) <= 1e-15).all()


def test_power_rises_with_clock_and_load(model):
    idle, default = model.idle_point(), model.default_point()
    busy = dict.fromkeys(model.domains, 1.0)
    assert model.total_w(idle) < model.total_w(default) < model.total_w(default, busy)


def test_vectorised_costs_equal_single_ones(model):
    works = [HEAVY, SegmentWork('light', 1e6, 3e6, 4, 'cpu')]
    points = [model.default_point(), model.idle_point()]
    latency_s, energy_j = model.costs(works, points)
    for i, work in enumerate(works):
        for j, point in enumerate(points):
            cost = model.segment_cost(work, point)
            assert cost.latency_s == pytest.approx(latency_s[i, j], rel=1e-12)
            assert cost.energy_j == pytest.approx(energy_j[i, j], rel=1e-12)


def test_energy_is_power_times_time_between_idle_and_full_power(model):
    cost = model.segment_cost(HEAVY, model.default_point())
    watts = cost.energy_j / cost.latency_s
    default = model.default_point()
    assert model.total_w(default) < watts < model.total_w(default, dict.fromkeys(default, 1.0))


def test_a_domain_left_out_runs_at_its_default(model):
    assert model.segment_cost(HEAVY, {}) == model.segment_cost(HEAVY, model.default_point())


def test_compute_bound_work_scales_with_the_gpu_and_memory_bound_work_does_not():
    model = BoardModel(load_board('jetson_tx2').in_mode('MAXN'))
    compute = SegmentWork('compute', 1e9, 1e3, 0)
    memory = SegmentWork('memory', 1e3, 1e8, 0)
    full, half = {'gpu': 1_300_500_000}, {'gpu': 650_250_000}

    def ratio(work: SegmentWork) -> float:
        return model.segment_cost(work, half).latency_s / model.segment_cost(work, full).latency_s

    assert ratio(compute) == pytest.approx(2.0)
    assert ratio(memory) == pytest.approx(1.0)
    slow_emc = model.segment_cost(memory, {'emc': 933_000_000}).latency_s
    assert slow_emc == pytest.approx(2 * model.segment_cost(memory, {}).latency_s)


def test_a_segment_hangs_on_the_clock_of_the_device_that_runs_it():
    model = BoardModel(load_board('jetson_orin_nano'))
    for device, clock in (
        ('cpu', 'cpu'),
        ('openvino', 'cpu'),
        ('cuda', 'gpu'),
        ('tensorrt', 'gpu'),
    ):
        (work,) = works_of([Segment('heavy', 700_000_000, 60_000_000, 60, '', device)])
        busy = dict(zip(model.domains, model.busy_shares([work], [{}])[0, 0], strict=True))
        assert max(('cpu', 'gpu'), key=lambda name: busy[name]) == clock


def test_a_board_without_a_gpu_computes_on_its_cpu_whatever_the_device():
    model = BoardModel(load_board('raspberry_pi_5'))
    costs = [model.segment_cost(replace(HEAVY, device=d), {}) for d in ('cpu', 'cuda')]
    assert costs[0] == costs[1]


def test_on_the_cpu_a_network_costs_a_jetson_what_its_cpu_can_do():
    model = BoardModel(load_board('jetson_orin_nano'))
    cpu, gpu = (model.segment_cost(replace(HEAVY, device=d), {}) for d in ('cpu', 'cuda'))
    assert cpu.latency_s > 2 * gpu.latency_s


def test_imagining_another_device_leaves_the_preparation_on_the_cpu():
    works = [SegmentWork('prepare', 0, 5e6, 0, 'cpu'), replace(HEAVY, device='cpu')]
    imagined = works_as_if_on('tensorrt', works)
    assert [work.device for work in imagined] == ['cpu', 'tensorrt']


@pytest.mark.parametrize('name', [n for n in board_names() if load_board(n).rails])
def test_the_rails_that_count_add_up_to_the_total(name):
    model = BoardModel(load_board(name))
    load = {'gpu': 0.7, 'cpu': 0.2, 'emc': 0.5}
    rails = model.rail_power_w(model.default_point(), load)
    if load_board(name).monitors.keys() == {'rapl'}:
        rails = {'package': rails['package-0']}
    whole = sum(rails[label] for label in counted(rails))
    assert whole == pytest.approx(model.total_w(model.default_point(), load))


def test_unknown_domain_and_zero_clock_are_refused(model):
    with pytest.raises(ValueError, match='npu'):
        model.segment_cost(HEAVY, {'npu': 1})
    with pytest.raises(ValueError, match='positive'):
        model.segment_cost(HEAVY, {'cpu': 0})


def test_what_the_host_does_grows_with_the_input_and_with_what_is_decoded():
    """A 640 pixel input has four times the values of a 320 pixel one."""
    segments = [
        Segment('prepare', 0, 0, 0, 'prepare', 'cpu', 3 * 320**2),
        Segment('prepare', 0, 0, 0, 'prepare', 'cpu', 3 * 640**2),
        Segment('few', 0, 0, 0, 'decode', 'cpu', 100 * 84),
        Segment('many', 0, 0, 0, 'decode', 'cpu', 8400 * 84),
        Segment('none', 0, 0, 0),
    ]
    small, large, few, many, none = (work.host_cycles for work in works_of(segments))
    assert large == pytest.approx(4 * small)
    assert 3 < many / few < 5
    assert none == 0


def test_a_board_that_waits_long_enough_sleeps():
    sleepy = load_board('jetson_xavier_nx')
    model = BoardModel(sleepy)
    lengths_s = model.wait_lengths_s
    assert lengths_s == [0.0, 0.03, 0.08, 0.5]
    watts = [model.idle_w(None, wait_s) for wait_s in lengths_s]
    assert watts == sorted(watts, reverse=True)
    assert model.idle_w(None, 0.0299) == watts[0] == model.idle_w()
    saved_w = model.power_w(model.idle_point())['cpu'] * 0.5
    assert watts[0] - watts[1] == pytest.approx(saved_w)
    points = [model.idle_point(), model.default_point()]
    assert model.waiting_w(points, 0.1) == pytest.approx([model.idle_w(p, 0.1) for p in points])
