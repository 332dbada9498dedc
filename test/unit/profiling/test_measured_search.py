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

import math
from types import SimpleNamespace

import numpy as np
import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.energy.client.client import ClientState
from e4_ros.energy.daemon.daemon import DaemonConfig
from e4_ros.energy.daemon.hold_point import leased
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.meters.meters import open_meter
from e4_ros.energy.virtual import mount
from e4_ros.profiling.measuring import measured_search, power, prober
from e4_ros.profiling.measuring.measured_search import design, measured_plan
from e4_ros.profiling.measuring.power import (
    MeasurementError,
    MeteredPower,
    ModelledPower,
    PageMeter,
)
from e4_ros.profiling.measuring.prober import Prober
from e4_ros.profiling.measuring.virtual_workload import VirtualWorkload
from e4_ros.profiling.planning.cost_surface import complete
from e4_ros.profiling.planning.cost_table import CostTable, CostTableError
from e4_ros.profiling.planning.exact import exact
from e4_ros.profiling.planning.objective import PlanningError, SwitchCost, make_problem

WORKS = [
    SegmentWork('prepare', 0, 1.35e6, 8, 'cpu'),
    SegmentWork('stage0', 300e6, 90e6, 30),
    SegmentWork('stage1', 300e6, 50e6, 30),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}
SHARES = {'temporal': 0.6, 'exit1': 0.2, 'full': 0.2}


def modelled(board: str = 'jetson_nano') -> CostTable:
    return CostTable.from_board(BoardModel(load_board(board)), WORKS, 'net')


class FakeMachine:
    """Client, meter and workload in one, with a clock of its own and faults on demand."""

    def __init__(self, board: str = 'jetson_nano') -> None:
        self.table = modelled(board)
        self.board, self.model, self.segments = board, 'net', self.table.segments
        self.devices = self.table.devices
        self.state, self.lost_because = ClientState.HELD, ''
        self.point: dict[str, int] = {}
        self.joules = self.now_s = self.missing_s = 0.0
        self.refresh_s = 0.0
        self.cap_hz = 10**12
        self.cap_after = math.inf
        self.silent, self.watts = False, 1.0
        self.points_set = self.runs = 0
        self.slowdown = 1.0

    def set_plan(self, plan) -> None:
        self.wanted = plan.paths['at'].points[0]
        self.points_set += 1

    def step(self, path: int, segment: int) -> bool:
        if self.state is ClientState.LOST:
            return False
        cap_hz = self.cap_hz if self.runs < self.cap_after else 400_000_000
        axes = dict(zip(self.table.domains, self.table.axes_hz, strict=True))
        self.point = {
            n: max((f for f in axes[n] if f <= min(hz, cap_hz)), default=axes[n][0])
            for n, hz in self.wanted.items()
        }
        return True

    def applied(self):
        return SimpleNamespace(point=self.point, energy_j=self.joules, source='measured')

    def read(self):
        self.now_s += 1e-4
        if not self.silent:
            self.joules += 1e-4 * self.watts
        shown = self.joules
        if self.refresh_s:  # what a counter shows that moves only so often
            late_s = self.now_s % self.refresh_s
            shown = round(self.joules - self.watts * late_s, 9)
        return SimpleNamespace(energy_j=shown, missing_s=self.missing_s, time_s=self.now_s)

    def run(self, segment: int, seconds: float):
        self.runs += 1
        p = self.table.index(self.point)
        latency_s, energy_j = self.table.latency_s[segment, p], self.table.energy_j[segment, p]
        latency_s, self.watts = latency_s * self.slowdown, energy_j / latency_s
        count = max(int(seconds / latency_s), 1)
        self.now_s += count * latency_s
        if self.silent:
            self.missing_s += 1.0
            self.now_s += 1.0
        else:
            self.joules += self.watts * count * latency_s
        return [latency_s] * (count - count // 10) + [5 * latency_s] * (count // 10)


@pytest.fixture
def machine(monkeypatch) -> FakeMachine:
    monkeypatch.setattr(prober, 'SETTLE_S', 0.0)
    monkeypatch.setattr(prober, '_HOLD_S', 0.05)
    return FakeMachine()


def make_prober(machine: FakeMachine) -> Prober:
    axes = dict(zip(machine.table.domains, machine.table.axes_hz, strict=True))
    return Prober(machine, MeteredPower(machine, 'fake'), machine, axes)


def test_a_cell_is_measured_once_and_outliers_do_not_count(machine):
    probe = make_prober(machine)
    probe.measure([(1, 7), (1, 7), (0, 7)], lambda _: None)
    assert probe.latency_s[1, 7] == pytest.approx(machine.table.latency_s[1, 7])
    assert probe.energy_j[1, 7] == pytest.approx(machine.table.energy_j[1, 7])
    assert machine.points_set == 1
    assert np.isfinite(probe.latency_s).sum() == 2


@pytest.mark.parametrize('refresh_s', [0.02, 0.1])
def test_a_counter_that_moves_seldom_is_read_from_move_to_move(machine, refresh_s):
    machine.refresh_s = refresh_s
    probe = make_prober(machine)
    probe.measure([(0, 150)], lambda _: None)
    assert probe.energy_j[0, 150] == pytest.approx(machine.table.energy_j[0, 150], rel=0.05)


def test_a_throttling_board_is_noticed(machine):
    machine.cap_hz = 600_000_000
    with pytest.raises(MeasurementError, match=r'cpu 1479 MHz.*clocks are cpu 518.*throttles'):
        make_prober(machine).measure([(0, 179)], lambda _: None)


def test_a_board_that_throttles_in_the_middle_of_a_cell_is_noticed(machine):
    machine.cap_after = 1
    probe = make_prober(machine)
    with pytest.raises(MeasurementError, match=r'moved to .* while measuring at .* throttles'):
        probe.measure([(0, 179)], lambda _: None)
    assert np.isnan(probe.latency_s).all()


def test_clocks_that_jitter_around_their_entry_still_hold(machine):
    read = lambda: {name: round(hz * 0.997) for name, hz in machine.point.items()}  # noqa: E731
    axes = dict(zip(machine.table.domains, machine.table.axes_hz, strict=True))
    probe = Prober(machine, MeteredPower(machine, 'fake'), machine, axes, read)
    probe.measure([(0, 179)], lambda _: None)
    assert np.isfinite(probe.latency_s[0, 179])


def test_rails_that_stop_answering_are_noticed(machine):
    machine.silent = True
    with pytest.raises(MeasurementError, match='rails'):
        make_prober(machine).measure([(0, 3)], lambda _: None)


def test_rails_that_fall_silent_between_two_cells_are_noticed(machine):
    probe = make_prober(machine)
    probe.measure([(0, 3)], lambda _: None)
    machine.silent = True
    with pytest.raises(MeasurementError, match='rails'):
        probe.measure([(0, 3), (1, 3)], lambda _: None)
    assert np.isfinite(probe.latency_s).sum() == 1


def test_a_lease_that_ends_says_why(machine):
    probe = make_prober(machine)
    probe.measure([(0, 3)], lambda _: None)
    machine.state, machine.lost_because = ClientState.LOST, 'the board is too hot: 96 °C'
    with pytest.raises(MeasurementError, match='ended the lease: the board is too hot'):
        probe.measure([(1, 3)], lambda _: None)


def test_a_machine_that_became_slower_is_told(machine):
    probe = make_prober(machine)
    with pytest.raises(MeasurementError, match='nothing was measured'):
        probe.drift()
    probe.measure([(0, 3)], lambda _: None)
    assert probe.drift() == pytest.approx(0.0)
    machine.slowdown = 1.2
    assert probe.drift() == pytest.approx(0.2)


def test_without_noise_the_measured_plan_is_near_the_optimum(machine):
    switch = SwitchCost.of_board(load_board('jetson_nano'), machine.table.domains)
    true = make_problem(machine.table, PATHS, SHARES, 0, switch)
    found = measured_plan(
        make_prober(machine), lambda t: make_problem(t, PATHS, SHARES, true.deadline_s, switch)
    )
    assert true.cost(found.found.points)[1] <= 1.03 * exact(true).best.energy_j
    assert found.cells < 0.3 * machine.table.latency_s.size
    assert found.problem.table.source == 'measured'


def test_a_machine_with_one_clock_is_measured_too(monkeypatch):
    monkeypatch.setattr(prober, 'SETTLE_S', 0.0)
    machine = FakeMachine('raspberry_pi_5')
    switch = SwitchCost.assumed(machine.table.domains)
    true = make_problem(machine.table, PATHS, SHARES, 0, switch)
    found = measured_plan(make_prober(machine), lambda t: make_problem(t, PATHS, SHARES, 0, switch))
    assert true.cost(found.found.points)[1] <= 1.03 * exact(true).best.energy_j


def test_a_deadline_that_the_measured_machine_cannot_meet_says_the_fastest(machine):
    switch = SwitchCost.none(machine.table.domains)
    with pytest.raises(PlanningError, match='the fastest needs'):
        measured_plan(make_prober(machine), lambda t: make_problem(t, PATHS, SHARES, 1e-4, switch))


@pytest.mark.parametrize('shape', [(1,), (5,), (15,), (2, 15), (1, 15), (15, 12), (15, 12, 7)])
def test_a_design_has_enough_points_for_a_fit_and_both_ends(shape):
    points = design([tuple(range(100, 100 * n + 1, 100)) for n in shape])
    assert len(set(points)) == len(points)
    assert len(points) >= min(8, math.prod(shape))
    assert {0, math.prod(shape) - 1} <= set(points)


@pytest.mark.parametrize('board', ['jetson_nano', 'jetson_xavier_nx', 'jetson_agx_orin'])
def test_a_fit_from_the_design_sees_where_memory_is_the_roof(board):
    whole = modelled(board)
    holes = np.ones(whole.latency_s.shape[1], bool)
    holes[design(whole.axes_hz)] = False
    latency_s, energy_j = whole.latency_s.copy(), whole.energy_j.copy()
    latency_s[:, holes] = energy_j[:, holes] = np.nan
    filled = complete(
        board,
        'net',
        whole.segments,
        whole.devices,
        whole.domains,
        whole.axes_hz,
        latency_s,
        energy_j,
    )
    for found, true in ((filled.latency_s, whole.latency_s), (filled.energy_j, whole.energy_j)):
        assert np.abs(found / true - 1).mean() < 0.02


def test_a_fit_fills_the_holes_and_says_how_far_off_it_is():
    whole = modelled()
    rng = np.random.default_rng(0)
    known = rng.random(whole.latency_s.shape[1]) < 0.15
    known[[0, 11, 168, 179]] = True
    latency_s = np.where(known, whole.latency_s, np.nan)
    energy_j = np.where(known, whole.energy_j, np.nan)
    filled = complete(
        whole.board,
        'net',
        whole.segments,
        whole.devices,
        whole.domains,
        whole.axes_hz,
        latency_s,
        energy_j,
    )
    assert filled.source == 'measured'
    assert (filled.latency_s[:, known] == whole.latency_s[:, known]).all()
    error = np.abs(filled.energy_j / whole.energy_j - 1)[:, ~known].mean()
    assert error < 0.05
    assert 0 < filled.error_percent < 10


def test_a_table_without_holes_needs_no_fit():
    whole = modelled()
    few = slice(0, 5)
    axes = (whole.axes_hz[0][:1], whole.axes_hz[1][few])
    filled = complete(
        'b', 'net', whole.segments, whole.devices, whole.domains, axes,
        whole.latency_s[:, few], whole.energy_j[:, few], 'modelled',
    )  # fmt: skip
    assert (filled.latency_s == whole.latency_s[:, few]).all()
    assert np.isnan(filled.error_percent)
    assert filled.source == 'modelled'


def test_too_few_cells_for_a_fit_are_refused():
    whole = modelled()
    sparse = np.full_like(whole.latency_s, np.nan)
    sparse[:, :5] = 1.0
    with pytest.raises(CostTableError, match='5 measured cells'):
        complete(
            whole.board,
            'net',
            whole.segments,
            whole.devices,
            whole.domains,
            whole.axes_hz,
            sparse,
            sparse,
        )


def test_modelled_power_is_the_boards_whatever_the_latency():
    model = BoardModel(load_board('jetson_nano'))
    source = ModelledPower(model, WORKS)
    point = model.default_point()
    repeats, watts = source.during(1, point | {'npu': 1, 'emc': 0}, lambda s: [s])
    cost = model.segment_cost(WORKS[1], point)
    assert repeats == [power.CELL_S]
    assert watts == pytest.approx(cost.energy_j / cost.latency_s)
    assert source.source == 'modelled'


def test_the_daemons_page_is_a_meter(machine):
    machine.joules = 3.5
    reading = PageMeter(machine).read()
    assert reading.energy_j == 3.5
    assert reading.source == 'measured'


@pytest.mark.fuse
@pytest.mark.skipif(bool(mount.fuse_problem()), reason=str(mount.fuse_problem()))
def test_a_virtual_board_is_measured_through_daemon_and_rails(tmp_path):
    name = 'jetson_xavier_nx'  # throttles at 90 °C; a lease ends at 95
    board, whole = load_board(name), modelled(name)
    switch = SwitchCost.of_board(board, whole.domains)
    true = make_problem(whole, PATHS, SHARES, 0, switch)
    config_at = {'state_dir': tmp_path / 's', 'socket_path': tmp_path / 'sock'}
    with (
        mount.mounted(name, tmp_path / 'board') as root,
        leased(DaemonConfig(root=root, **config_at), 'test') as client,
    ):
        domains = discover(root)
        clocks = lambda: {d.name: d.current_hz() for d in domains}  # noqa: E731
        workload = VirtualWorkload(board, root, WORKS, 'net', clocks)
        axes = dict(zip(whole.domains, whole.axes_hz, strict=True))
        meter = open_meter(root)
        assert meter is not None
        with meter:
            probe = Prober(client, MeteredPower(meter, 'rails'), workload, axes, clocks)
            found = measured_plan(
                probe, lambda table: make_problem(table, PATHS, SHARES, true.deadline_s, switch)
            )
            (root / 'e4/faults').write_text('unreadable:*hwmon*')
            with pytest.raises(MeasurementError, match='rails'):
                probe.drift()
            (root / 'e4/faults').write_text('')
            (root / 'e4/temperature_c').write_text('93')
            unknown = np.flatnonzero(np.isnan(probe.latency_s[1]))
            with pytest.raises(MeasurementError, match='throttles'):
                probe.measure([(1, int(unknown[-1]))], lambda _: None)
            (root / 'e4/temperature_c').write_text('40')
    assert found.problem.table.source == 'measured'
    assert found.cells < 0.4 * whole.latency_s.size  # the shipped mode has short tables
    _, energy_j = true.cost(found.found.points)
    assert energy_j <= 1.05 * exact(true).best.energy_j


def test_measured_names_its_phases_in_order(machine):
    switch = SwitchCost.none(machine.table.domains)
    told: list[tuple[str, float, float]] = []
    measured_search.measured_plan(
        make_prober(machine),
        lambda t: make_problem(t, PATHS, SHARES, 0, switch),
        lambda *news: told.append(news),
    )
    shares = [share for _, share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
