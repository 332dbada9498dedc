from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from e4_ros.energy import virtual_mount
from e4_ros.energy.boards import load_board
from e4_ros.energy.client import DvfsClient
from e4_ros.energy.daemon import Helper, HelperConfig
from e4_ros.energy.model import BoardModel, SegmentWork
from e4_ros.profiling import measured
from e4_ros.profiling.cost_table import CostTable, CostTableError
from e4_ros.profiling.exact import exact
from e4_ros.profiling.fit import complete
from e4_ros.profiling.measured import MeasurementError, Prober, measured_plan
from e4_ros.profiling.objective import SwitchCost, make_problem
from e4_ros.profiling.virtual_workload import VirtualWorkload

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

    def __init__(self) -> None:
        self.table = modelled()
        self.board, self.model, self.segments = 'jetson_nano', 'net', self.table.segments
        self.point: dict[str, int] = {}
        self.joules = 0.0
        self.missing_s = 0.0
        self.cap_hz = 10**12
        self.silent = False
        self.points_set = 0

    def set_plan(self, plan) -> None:
        self.wanted = plan.paths['at'].points[0]
        self.points_set += 1

    def step(self, path: int, segment: int) -> bool:
        self.point = {n: min(hz, self.cap_hz) for n, hz in self.wanted.items()}
        return True

    def applied(self):
        return SimpleNamespace(point=self.point)

    def read(self):
        return SimpleNamespace(energy_j=self.joules, missing_s=self.missing_s)

    def run(self, segment: int, seconds: float):
        p = self.table.index(self.point)
        latency_s, energy_j = self.table.latency_s[segment, p], self.table.energy_j[segment, p]
        time.sleep(0.002)
        if self.silent:
            self.missing_s += 1.0
        else:
            self.joules += 0.002 * energy_j / latency_s
        return [latency_s] * 9 + [5 * latency_s]


@pytest.fixture
def machine(monkeypatch) -> FakeMachine:
    monkeypatch.setattr(measured, 'SETTLE_S', 0.0)
    return FakeMachine()


def prober(machine: FakeMachine) -> Prober:
    return Prober(machine, machine, machine, machine.table.domains, machine.table.axes_hz)


def test_a_cell_is_measured_once_and_outliers_do_not_count(machine):
    probe = prober(machine)
    probe.measure([(1, 7), (1, 7), (0, 7)], lambda _: None)
    assert probe.latency_s[1, 7] == pytest.approx(machine.table.latency_s[1, 7])
    assert probe.energy_j[1, 7] == pytest.approx(machine.table.energy_j[1, 7], rel=0.2)
    assert machine.points_set == 1
    assert np.isfinite(probe.latency_s).sum() == 2


def test_a_throttling_board_is_noticed(machine):
    machine.cap_hz = 600_000_000
    with pytest.raises(MeasurementError, match='throttles'):
        prober(machine).measure([(0, 179)], lambda _: None)


def test_rails_that_stop_answering_are_noticed(machine):
    machine.silent = True
    with pytest.raises(MeasurementError, match='rails'):
        prober(machine).measure([(0, 3)], lambda _: None)


def test_a_fit_fills_the_holes_and_says_how_far_off_it_is():
    whole = modelled()
    rng = np.random.default_rng(0)
    known = rng.random(whole.latency_s.shape[1]) < 0.15
    known[[0, 11, 168, 179]] = True
    latency_s = np.where(known, whole.latency_s, np.nan)
    energy_j = np.where(known, whole.energy_j, np.nan)
    filled = complete(
        whole.board, 'net', whole.segments, whole.domains, whole.axes_hz, latency_s, energy_j
    )
    assert filled.source == 'measured'
    assert (filled.latency_s[:, known] == whole.latency_s[:, known]).all()
    error = np.abs(filled.energy_j / whole.energy_j - 1)[:, ~known].mean()
    assert error < 0.05
    assert 0 < filled.error_percent < 10


def test_too_few_cells_for_a_fit_are_refused():
    whole = modelled()
    sparse = np.full_like(whole.latency_s, np.nan)
    sparse[:, :5] = 1.0
    with pytest.raises(CostTableError, match='5 measured cells'):
        complete(whole.board, 'net', whole.segments, whole.domains, whole.axes_hz, sparse, sparse)


@pytest.mark.fuse
@pytest.mark.skipif(bool(virtual_mount.why_not()), reason=str(virtual_mount.why_not()))
def test_a_virtual_board_is_measured_through_helper_and_rails(tmp_path):
    name = 'jetson_orin_nano'
    board, whole = load_board(name), modelled(name)
    switch = SwitchCost.of_board(board, whole.domains)
    true = make_problem(whole, PATHS, SHARES, 0, switch)
    socket = tmp_path / 'sock'
    with (
        virtual_mount.mounted(name, tmp_path / 'board') as root,
        Helper(HelperConfig(root=root, state_dir=tmp_path / 's', socket_path=socket)) as helper,
        DvfsClient(socket) as client,
    ):
        client.acquire('test')
        workload = VirtualWorkload(board, root, WORKS, 'net', lambda: client.applied().point)
        assert helper.meter is not None
        probe = Prober(client, helper.meter, workload, whole.domains, whole.axes_hz)
        found = measured_plan(
            probe, lambda table: make_problem(table, PATHS, SHARES, true.deadline_s, switch)
        )
    assert found.problem.table.source == 'measured'
    assert found.cells < 0.3 * whole.latency_s.size
    _, energy_j = true.cost(found.found.points)
    assert energy_j <= 1.05 * exact(true).best.energy_j
