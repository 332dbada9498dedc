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

import logging
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.energy.client.client import DaemonError, DvfsClient
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.plan import PlanError
from e4_ros.energy.virtual.board import write_tree
from e4_ros.perception.frame_energy import cost_at
from e4_ros.perception.frequency_control import (
    LONGEST_WAIT_S,
    DaemonControl,
    ModelledControl,
    NoControl,
)
from e4_ros.perception.perceiver import Perceiver
from e4_ros.profiling.planning import planner
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.audit import Audit
from e4_ros.vision.inference.compiled_network import Segment
from e4_ros.vision.inference.frame_result import FrameResult

BOARD = 'jetson_orin_nano'
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}
WORKS = [
    SegmentWork('prepare', 0, 1e6, device='cpu'),
    SegmentWork('stage0', 2e8, 5e7),
    SegmentWork('stage1', 4e8, 5e7),
]


class Engine:
    """The clocks' view of an engine: tells which segments it runs and stops where it is told."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.paths = PATHS
        self.risk = None
        self.segments = [
            Segment(w.name, int(w.macs), int(w.bytes_moved), 8, 0, w.device) for w in WORKS
        ]
        self.exit, self.risk = 'full', None
        self.wait_s = wait_s

    def process(self, frame, stamp_s, on_segment):
        for index in self.paths[self.exit]:
            on_segment(index)
            time.sleep(self.wait_s)
        depth = len(self.paths[self.exit])
        return FrameResult(Detections.empty(), self.exit, 0.0, {}, [0.001] * depth, 0.001 * depth)


FRAME = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture
def plan():
    shares = dict.fromkeys(PATHS, 1.0)
    return planner.plan(BOARD, WORKS, PATHS, shares, model='walkers')


def test_a_record_names_its_segments_and_knows_nothing_without_clocks():
    engine = Engine()
    engine.exit = 'exit1'
    record = Perceiver(engine).process(FRAME, 1.5, 7)
    assert (record.frame, record.stamp_s) == (7, 1.5)
    assert list(record.segments) == ['prepare', 'stage0']
    assert record.points == ()
    assert math.isnan(record.energy_j)
    assert record.energy_source == 'none'


@pytest.mark.parametrize('exit_name', PATHS)
def test_a_modelled_board_costs_what_the_plan_expects(plan, exit_name):
    spent = ModelledControl(load_board(BOARD), WORKS, plan).end(exit_name, PATHS[exit_name])
    path = plan.paths[exit_name]
    assert spent.energy_j == pytest.approx(path.expected_energy_j)
    assert spent.source == 'modelled'
    assert [
        {name: p[name] for name in q} for p, q in zip(spent.points, path.points, strict=True)
    ] == (path.points)
    assert set(spent.points[0]) == {'cpu', 'gpu', 'emc'}, (
        'clocks the plan leaves alone are known too'
    )


def test_without_a_plan_a_modelled_board_runs_at_its_default_clocks(plan):
    board = load_board(BOARD)
    default = ModelledControl(board, WORKS).end('full', PATHS['full'])
    model = BoardModel(board)
    point = model.default_point()
    expected = sum(model.segment_cost(work, point).energy_j for work in WORKS)
    assert default.energy_j == pytest.approx(expected)
    assert list(default.points) == [point] * 3
    assert ModelledControl(board, WORKS, plan).end('full', PATHS['full']).energy_j < expected


def test_a_plan_for_another_board_is_refused(plan):
    with pytest.raises(PlanError, match='made for board'):
        ModelledControl(load_board('jetson_nano'), WORKS, plan)


def test_a_plan_for_another_device_is_refused_before_the_helper_hears_of_it(daemon, client, plan):
    elsewhere = plan.model_copy(update={'devices': ['cpu'] * len(plan.segments)})
    with pytest.raises(PlanError, match="made for 'cpu', but here the network runs on 'cuda'"):
        ModelledControl(load_board(plan.board), WORKS, elsewhere)
    with pytest.raises(PlanError, match="made for 'cpu'"):
        DaemonControl(client, WORKS, elsewhere)
    control = DaemonControl(client, WORKS, plan)
    with pytest.raises(PlanError, match="made for 'cpu'"):
        control.replace(elsewhere)
    assert daemon.server.leases[0].plan == plan


def test_clocks_the_model_does_not_have_are_ignored():
    model = BoardModel(load_board(BOARD))
    point = model.default_point()
    strange = point | {'npu': 10**9}
    assert cost_at(model, WORKS, [strange] * 3) == cost_at(model, WORKS, [point] * 3)


@pytest.fixture
def daemon():
    with tempfile.TemporaryDirectory(prefix='e4') as folder:
        root = write_tree(BOARD, Path(folder) / 'root')
        config = DaemonConfig(
            root=root,
            state_dir=Path(folder) / 'state',
            socket_path=Path(folder) / 'helper.sock',
            priority=0,
        )
        with Daemon(config) as running:
            yield running


@pytest.fixture
def client(daemon, plan):
    with DvfsClient(daemon.config.socket_path) as connected:
        connected.acquire('test')
        connected.set_plan(plan)
        yield connected


def test_each_segment_runs_at_the_clocks_of_the_plan(client, plan):
    perceiver = Perceiver(Engine(wait_s=0.02), DaemonControl(client, WORKS, plan))
    record = perceiver.process(FRAME, 0.0, 0)
    applied = [{name: point[name] for name in plan.domains} for point in record.points]
    assert applied == plan.paths['full'].points
    assert record.energy_source == 'modelled'
    model = BoardModel(load_board(BOARD))
    assert record.energy_j == pytest.approx(cost_at(model, WORKS, record.points).energy_j)


def test_an_early_exit_has_as_many_points_as_segments(client, plan):
    engine = Engine(wait_s=0.005)
    perceiver = Perceiver(engine, DaemonControl(client, WORKS, plan))
    for engine.exit in ('full', 'temporal', 'exit1'):
        record = perceiver.process(FRAME, 0.0, 0)
        assert len(record.points) == len(PATHS[engine.exit])


def until(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.002)


def only(plan, point):
    """The plan with one point everywhere."""
    paths = {
        name: path.model_copy(update={'points': [point] * len(path.segments)})
        for name, path in plan.paths.items()
    }
    return plan.model_copy(update={'name': 'another', 'paths': paths})


def test_after_an_answer_the_first_segments_clocks_are_set_again(daemon, client, plan):
    first, last = plan.paths['full'].points[0], {'cpu': 729_600_000, 'gpu': 306_000_000}
    assert first != last
    points = [first, last, last]
    path = plan.paths['full'].model_copy(update={'points': points})
    mixed = plan.model_copy(update={'paths': {'full': path}})
    client.set_plan(mixed)
    clocks = DaemonControl(client, WORKS, mixed)
    record = Perceiver(Engine(wait_s=0.02), clocks).process(FRAME, 0.0, 0)
    assert record.points[-1]['cpu'] == last['cpu']
    until(lambda: client.applied().point.items() >= first.items())


def test_another_plan_is_stepped_through_from_the_next_frame_on(daemon, client, plan):
    clocks = DaemonControl(client, WORKS, plan)
    perceiver = Perceiver(Engine(wait_s=0.02), clocks)
    perceiver.process(FRAME, 0.0, 0)
    point = {'cpu': 729_600_000, 'gpu': 510_000_000}
    clocks.replace(only(plan, point))
    assert daemon.server.leases[0].plan.name == 'another'
    record = perceiver.process(FRAME, 0.1, 1)
    assert all(seen.items() >= point.items() for seen in record.points)


def test_a_plan_the_daemon_refuses_leaves_the_one_before(daemon, client, plan):
    clocks = DaemonControl(client, WORKS, plan)
    with pytest.raises(DaemonError, match='no frequency 1 Hz'):
        clocks.replace(only(plan, {'cpu': 1, 'gpu': 306_000_000}))
    assert daemon.server.leases[0].plan.name == plan.name
    record = Perceiver(Engine(wait_s=0.02), clocks).process(FRAME, 0.0, 0)
    applied = [{name: point[name] for name in plan.domains} for point in record.points]
    assert applied == plan.paths['full'].points


def test_a_meter_that_measures_is_believed(client, plan, monkeypatch):
    clocks = DaemonControl(client, WORKS, plan)
    readings = iter([1.0, 1.5, 2.0, 2.5])
    applied = client.applied()
    monkeypatch.setattr(
        client, 'applied', lambda: applied._replace(energy_j=next(readings), source='measured')
    )
    record = Perceiver(Engine(), clocks).process(FRAME, 0.0, 0)
    assert record.energy_source == 'measured'
    assert record.energy_j == pytest.approx(1.5)


def test_a_frame_pays_for_the_wait_before_it_at_the_clocks_that_were_left(client, plan):
    client.set_plan(still := only(plan, {'cpu': 729_600_000, 'gpu': 510_000_000}))
    now = [0.0]
    clocks = DaemonControl(client, WORKS, still, now=lambda: now[0])
    perceiver = Perceiver(Engine(wait_s=0.02), clocks)
    records = []
    for now[0] in (0.0, 0.1, 0.3, 0.4 + LONGEST_WAIT_S):
        records.append(perceiver.process(FRAME, now[0], 0))
    model = BoardModel(load_board(BOARD))
    own = cost_at(model, WORKS, records[-1].points)
    left = {name: records[-1].points[0][name] for name in still.domains}
    at = model.idle_point() | left
    waits_s = [0.0, 0.1 - own.latency_s, 0.2 - own.latency_s, 0.0]  # the last: it had stopped
    assert [record.energy_j for record in records[1:]] == pytest.approx(
        [own.energy_j + model.idle_w(at, wait_s) * wait_s for wait_s in waits_s[1:]]
    )


def test_an_audit_that_is_not_due_does_not_shorten_the_wait(client, plan):
    client.set_plan(still := only(plan, {'cpu': 729_600_000, 'gpu': 510_000_000}))
    now, engine = [0.0], Engine(wait_s=0.02)
    engine.exit, engine.audit = 'temporal', lambda frame, result, on_segment: None
    perceiver = Perceiver(engine, DaemonControl(client, WORKS, still, now=lambda: now[0]))
    for begin_s in (0.0, 0.1, 0.2):
        now[0] = begin_s
        record = perceiver.process(FRAME, begin_s, 0)
        now[0] += 0.04  # what it took
        assert perceiver.audit(FRAME, record) is None
    model = BoardModel(load_board(BOARD))
    own = cost_at(model, WORKS[:1], record.points)
    left = {name: record.points[0][name] for name in still.domains}
    wait_s = 0.1 - own.latency_s
    wait_j = model.idle_w(model.idle_point() | left, wait_s) * wait_s
    assert record.energy_j == pytest.approx(own.energy_j + wait_j)


def test_every_pass_of_an_audit_has_its_joules_and_none_is_in_a_frame(client, plan):
    client.set_plan(still := only(plan, {'cpu': 729_600_000, 'gpu': 510_000_000}))
    now, engine, left = [0.0], Engine(), [3]
    engine.exit = 'temporal'

    def audit(frame, result, on_segment):
        if not left[0]:
            return None
        for index in PATHS['full']:
            on_segment(index)
        left[0] -= 1
        passed = FrameResult(Detections.empty(), 'full', 0.0, {}, [0.01] * 3, 0.03)
        return Audit('temporal', passed, None if left[0] else 0.1)

    engine.audit = audit
    perceiver = Perceiver(engine, DaemonControl(client, WORKS, still, now=lambda: now[0]))
    perceiver.process(FRAME, -1.0, 0)  # it steps the clocks
    ends_s = time.monotonic() + 5
    while client.applied().point['cpu'] != 729_600_000 and time.monotonic() < ends_s:
        time.sleep(0.01)
    records, verdicts = [], []
    for index in range(5):
        now[0] += 0.1
        records.append(perceiver.process(FRAME, index / 10, index))
        found = perceiver.audit(FRAME, records[-1])
        verdicts.append(None if found is None else found.loss)
    assert verdicts == [None, None, 0.1, None, None]
    model = BoardModel(load_board(BOARD))
    point = records[-1].points[0]
    own, full = cost_at(model, WORKS[:1], [point]), cost_at(model, WORKS, [point] * 3)
    assert perceiver.audits.passes == 3
    assert perceiver.audits.seconds == pytest.approx(0.09)
    assert perceiver.audits.means == {'temporal': pytest.approx(0.1)}
    at = model.idle_point() | {name: point[name] for name in still.domains}
    # More than a board that waits for so long.
    more_j = full.energy_j - model.idle_w(at, full.latency_s) * full.latency_s
    assert perceiver.audits.energy_j == pytest.approx(3 * more_j)
    wait_s = 0.1 - own.latency_s
    frame_j = own.energy_j + model.idle_w(at, wait_s) * wait_s  # after a pass, and without one
    assert [record.energy_j for record in records[1:]] == pytest.approx([frame_j] * 4)


def test_a_meter_is_read_from_answer_to_answer(client, plan, monkeypatch):
    now, meter = [0.0], [5.0]
    applied = client.applied()
    monkeypatch.setattr(
        client, 'applied', lambda: applied._replace(energy_j=meter[0], source='measured')
    )
    clocks = DaemonControl(client, WORKS, plan, now=lambda: now[0])

    def joules(before_j: float, frame_j: float, pause_s: float) -> float:
        meter[0] += before_j
        now[0] += pause_s
        clocks.begin()
        meter[0] += frame_j
        return clocks.end('full', PATHS['full']).energy_j

    assert joules(3.0, 1.0, 0.0) == pytest.approx(1.0)
    assert joules(2.0, 1.0, 0.1) == pytest.approx(3.0)
    assert joules(90.0, 1.0, 2 * LONGEST_WAIT_S) == pytest.approx(1.0)


def test_a_frame_says_whether_somebody_else_had_a_lease(daemon, client, plan):
    perceiver = Perceiver(Engine(), DaemonControl(client, WORKS, plan))
    assert not perceiver.process(FRAME, 0.0, 0).energy_shared
    with DvfsClient(daemon.config.socket_path) as other:
        other.acquire('another')
        assert perceiver.process(FRAME, 0.1, 1).energy_shared
    until(lambda: client.clients() == 1)
    assert not perceiver.process(FRAME, 0.2, 2).energy_shared


def test_when_the_daemon_is_gone_frames_go_on_and_it_is_said_once(daemon, client, plan, caplog):
    perceiver = Perceiver(Engine(), DaemonControl(client, WORKS, plan))
    perceiver.process(FRAME, 0.0, 0)
    daemon.stop()
    with caplog.at_level(logging.WARNING):
        lost = [perceiver.process(FRAME, index / 10, index) for index in range(1, 4)]
    assert all(record.energy_source == 'none' and not record.points for record in lost)
    assert sum('without clock steps' in message for message in caplog.messages) == 1


def test_no_clocks_step_nothing():
    clocks = NoControl()
    clocks.begin()
    clocks.step(0)
    assert clocks.end('full', [0]).points == ()
