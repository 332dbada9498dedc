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

"""Decisions about the clocks of a lease: a real daemon and client on a virtual board, the real
controller, frames of made-up exits."""

from __future__ import annotations

import math
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.plan import PlanError
from e4_ros.energy.virtual.board import write_tree
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import Decision, Observation, Outcome, Wishes
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.live_control import LiveControl
from e4_ros.perception.live_plan import LivePlan
from e4_ros.perception.machine import power_mode, see_machine
from e4_ros.profiling.planning import planner
from e4_ros.profiling.planning.ceiling import PATIENCE_FRAMES
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.objective import PlanningError
from e4_ros.vision.inference.exit_thresholds import ExitThresholds

BOARD = 'jetson_nano'
WORKS = [
    SegmentWork('prepare', 200e6, 8e6, 20, 'cpu'),
    SegmentWork('stage0', 300e6, 70e6, 30),
    SegmentWork('stage1', 900e6, 20e6, 10),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}
STREAM = Stream('net', WORKS, PATHS)
MODEL = BoardModel(load_board(BOARD))
TIGHT_S = 0.05  # the fastest needs 43.5 ms


class Robot:
    """What a perception node does with its controller, without its thread: turns are taken here."""

    def __init__(self, client, controller='e4', file='', deadline_s=0.0, replan=True, **context):
        self.controller = make_controller(controller, Context(STREAM, **context))
        self.engine = SimpleNamespace(thresholds=ExitThresholds({'temporal': 0.5, 'exit1': 0.5}))
        self.lease: LivePlan | None = None
        self.control = LiveControl(
            self.controller, STREAM, [self.engine], threading.Lock(), lambda: self.lease
        )
        plan = STREAM.load(file, client.board, client.frequencies_hz) if file else None
        wishes = Wishes(deadline_s, plan, file, replan)
        self.lease = self.control.take_lease(client, wishes)

    @property
    def active(self):
        return self.lease.active

    @property
    def made(self):
        return self.lease.made

    @property
    def problem(self):
        return self.control.loop.problem

    def observe(self, record) -> None:
        self.control.observe(record)
        self.control.loop.turn()

    def set_tables(self, tables) -> None:
        if self.lease.set_tables(tables):
            self.control.loop.changed()
            self.control.loop.turn()

    def load(self, file: str) -> None:
        plan = STREAM.load(file, BOARD, self.lease.frequencies_hz) if file else None
        self._wish(replace(self.control.wishes, plan=plan, plan_origin=file))

    def set_deadline(self, deadline_s: float) -> None:
        self._wish(replace(self.control.wishes, deadline_s=deadline_s))

    def _wish(self, wishes: Wishes) -> None:
        self.control.check(wishes)
        self.control.wish(wishes)
        self.control.loop.turn()


@pytest.fixture
def begin():
    """Starts a daemon (with its own limits, if any) and plans for its lease."""
    with tempfile.TemporaryDirectory(prefix='e4') as name:
        folder = Path(name)
        stop = []

        def start(limits=None, board=BOARD, **settings) -> tuple[Robot, Daemon]:
            daemon = Daemon(
                DaemonConfig(
                    root=write_tree(BOARD, folder / 'root'),
                    board=board,
                    state_dir=folder / 'state',
                    socket_path=folder / 'helper.sock',
                    limits_hz=limits or {},
                    priority=0,
                )
            )
            stop.append(daemon.stop)
            client = DvfsClient(daemon.config.socket_path)
            client.acquire('test')
            stop.append(client.close)
            return Robot(client, **settings), daemon

        yield start
        for step in reversed(stop):
            step()


def record(exit_name: str, live: Robot, longer: float = 1.0, **held: int):
    """A frame that left at ``exit_name``, its clocks as planned but for those ``held``.

    Its segments take ``longer`` times as long as the board's model says.
    """
    path = live.active.plan.paths[exit_name]
    points = [{n: min(hz, held.get(n, hz)) for n, hz in point.items()} for point in path.points]
    seconds = [
        longer * MODEL.segment_cost(WORKS[row], MODEL.default_point() | point).latency_s
        for row, point in zip(path.segments, points, strict=True)
    ]
    result = SimpleNamespace(
        exit=exit_name, latency_s=sum(seconds), segment_s=seconds, diversity=0.1, gate_scores={}
    )
    return SimpleNamespace(result=result, points=points, energy_j=math.nan, offload=None)


def highest(live: Robot, domain: str) -> int:
    return max(p[domain] for path in live.active.plan.paths.values() for p in path.points)


@pytest.fixture
def plan_file(tmp_path) -> str:
    plan = planner.plan(BOARD, WORKS, PATHS, {'full': 1.0}, model='net')
    plan.save(tmp_path / 'plan.yaml')
    return str(tmp_path / 'plan.yaml')


def test_it_begins_with_a_plan_of_its_own_and_says_so(begin):
    live, daemon = begin()
    assert daemon.server.leases[0].plan == live.active.plan
    assert live.active.why == 'the stream begins'
    assert len(live.active.id) == 8


def test_exits_that_drift_bring_a_new_plan_to_the_daemon(begin):
    live, daemon = begin(deadline_s=TIGHT_S, exit_shares={'full': 1.0})
    first, reasons = live.active, set()
    for _ in range(400):
        live.observe(record('temporal', live))
        reasons.add(live.active.why)
    # A busy machine may change its pace first, and is then planned for by its own mix of exits.
    assert reasons & {'the exits drifted', 'the pace of the frames changed'}
    assert daemon.server.leases[0].plan == live.active.plan
    assert live.active.id != first.id
    assert live.active.plan.name != first.plan.name
    assert 1 < live.made <= 6
    was, now = (a.plan.paths['temporal'].expected_energy_j for a in (first, live.active))
    assert now < was


def test_memory_is_clocked_where_that_is_wanted(begin):
    live, daemon = begin(domains=['cpu', 'gpu', 'emc'])
    assert set(live.active.plan.domains) == {'cpu', 'gpu', 'emc'}
    assert daemon.server.leases[0].plan == live.active.plan


def test_domains_that_the_board_lacks_are_told(begin):
    with pytest.raises(ValueError, match=r"nothing to plan: plan_domains is \['npu'\]"):
        begin(domains=['npu'])


def test_switched_off_it_leaves_the_plan_alone(begin):
    live, _ = begin(replan=False)
    first = live.active
    for _ in range(400):
        live.observe(record('temporal', live, gpu=80_000_000))
    live.set_tables({'gpu': (76_800_000, 153_600_000)})
    assert live.active is first


def test_a_lower_limit_is_kept_at_once(begin):
    live, daemon = begin(deadline_s=1.0)
    tables = daemon.core.frequencies_hz
    used = highest(live, 'gpu')
    lower = [hz for hz in tables['gpu'] if hz < used]
    live.set_tables(tables | {'gpu': lower})
    assert live.active.why == 'the limits changed'
    assert highest(live, 'gpu') <= lower[-1]
    assert daemon.server.leases[0].plan == live.active.plan


def test_the_plan_begins_within_the_daemons_limits(begin):
    live, _ = begin(limits={'gpu': (76_800_000, 307_200_000), 'cpu': (0, 1_000_000_000)})
    assert highest(live, 'gpu') <= 307_200_000
    assert highest(live, 'cpu') <= 1_000_000_000


def test_clocks_held_down_by_heat_are_planned_around(begin):
    live, daemon = begin()
    got = [hz for hz in daemon.core.frequencies_hz['gpu'] if hz < highest(live, 'gpu')][-1]
    for _ in range(PATIENCE_FRAMES):
        live.observe(record('full', live, gpu=got))
    assert live.active.why == 'clocks are held down'
    assert highest(live, 'gpu') <= got


def test_limits_that_break_the_deadline_are_told_and_the_plan_stays(begin):
    live, daemon = begin()
    live.set_deadline(TIGHT_S)
    first = live.active
    live.set_tables({n: hz[:1] for n, hz in daemon.core.frequencies_hz.items()})
    assert 'no plan fits' in live.problem
    assert live.active is first


def test_a_new_deadline_is_met_and_an_impossible_one_refused(begin):
    live, daemon = begin()
    slow_s = live.active.plan.paths['full'].expected_latency_s
    assert slow_s > TIGHT_S
    live.set_deadline(TIGHT_S)
    assert live.active.why == 'the deadline changed'
    assert live.active.plan.paths['full'].expected_latency_s <= TIGHT_S
    before = live.active
    with pytest.raises(PlanningError, match='the fastest needs'):
        live.set_deadline(1e-6)
    assert daemon.server.leases[0].plan == before.plan == live.active.plan


def test_a_plan_file_is_put_in_force_and_taken_away(begin, plan_file):
    live, daemon = begin()
    live.load(plan_file)
    assert live.active.why == f'from {plan_file}'
    assert daemon.server.leases[0].plan == live.active.plan
    for _ in range(400):
        live.observe(record('temporal', live))
    assert live.active.why == f'from {plan_file}'  # it is the user's
    live.load('')
    assert live.active.why == 'the plan file was taken away'
    assert daemon.server.leases[0].plan == live.active.plan


def test_a_plan_that_knows_no_closer_looks_clocks_them_as_the_whole_network(plan_file):
    stream = replace(STREAM, paths={**PATHS, 'closer': PATHS['full']})
    plan = stream.load(plan_file)
    assert plan.paths['closer'] == plan.paths['full']
    assert set(STREAM.load(plan_file).exits) == set(PATHS)


def test_a_plan_file_gives_way_to_limits_and_is_used_again(begin, plan_file):
    live, daemon = begin(file=plan_file)
    tables = daemon.core.frequencies_hz
    used = highest(live, 'gpu')
    live.set_tables(tables | {'gpu': [hz for hz in tables['gpu'] if hz < used]})
    assert live.active.why == 'the limits changed'
    assert highest(live, 'gpu') < used
    live.set_tables(tables)
    assert live.active.why == f'from {plan_file}'
    assert daemon.server.leases[0].plan == live.active.plan


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        ({'board': 'jetson_tx2'}, "made for board 'jetson_tx2'"),
        ({'model': 'other'}, "made for model 'other'"),
        ({'segments': ['prepare', 'stage0', 'elsewhere']}, 'is cut into'),
        ({'devices': ['cpu', 'tensorrt', 'tensorrt']}, "'tensorrt', but here .* runs on 'cuda'"),
    ],
)
def test_a_plan_for_something_else_is_refused_and_the_old_one_stays(
    begin, plan_file, tmp_path, change, says
):
    live, daemon = begin(file=plan_file)
    bad = live.active.plan.model_copy(update=change)
    bad.save(tmp_path / 'bad.yaml')
    with pytest.raises(PlanError, match=says):
        live.load(str(tmp_path / 'bad.yaml'))
    assert daemon.server.leases[0].plan == live.active.plan
    assert live.active.why == f'from {plan_file}'


def test_a_plan_with_other_exits_or_clocks_is_refused(begin, plan_file, tmp_path):
    live, _ = begin()
    text = Path(plan_file).read_text()
    for old, new, says in (
        ('  temporal:', '  early:', 'no path for exit temporal'),
        ('gpu: ', 'gpu: 1', 'no frequency'),
        ('segments:\n    - 0\n', 'segments:\n    - 1\n', 'exit'),
    ):
        assert old in text
        (tmp_path / 'bad.yaml').write_text(text.replace(old, new, 1))
        with pytest.raises(PlanError, match=says):
            live.load(str(tmp_path / 'bad.yaml'))


def test_files_that_are_no_plan_are_refused(begin, tmp_path):
    live, _ = begin()
    (tmp_path / 'no.yaml').write_text('hello: [')
    with pytest.raises(PlanError, match=r'no\.yaml'):
        live.load(str(tmp_path / 'no.yaml'))
    with pytest.raises(OSError, match='missing'):
        live.load(str(tmp_path / 'missing.yaml'))
    assert live.active.why == 'the stream begins'


def test_a_board_nobody_described_needs_a_file(begin, tmp_path):
    with pytest.raises(ValueError, match='unknown board'):
        begin(board='my_robot')


def test_on_a_board_nobody_described_the_file_is_all(begin, plan_file, tmp_path):
    plan = Path(plan_file).read_text().replace(f'board: {BOARD}', 'board: my_robot')
    (tmp_path / 'mine.yaml').write_text(plan)
    live, _ = begin(board='my_robot', file=str(tmp_path / 'mine.yaml'))
    assert live.controller.facts() == {}
    live.observe(record('full', live))
    with pytest.raises(ValueError, match='a plan file is needed'):
        live.load('')


def test_a_daemon_that_is_gone_is_a_problem_not_an_error_in_the_stream(begin):
    live, daemon = begin(deadline_s=TIGHT_S, exit_shares={'full': 1.0})
    daemon.stop()
    for _ in range(400):
        live.observe(record('temporal', live))
    assert 'a decision cannot be carried out' in live.problem
    assert live.control.loop.failures > 0


def test_a_fixed_point_is_held_throughout(begin):
    live, daemon = begin(controller='fixed:max')
    tables = daemon.core.frequencies_hz
    top = {name: tables[name][-1] for name in ('cpu', 'gpu')}
    plan = daemon.server.leases[0].plan
    assert {tuple(p.items()) for path in plan.paths.values() for p in path.points} == {
        tuple(top.items())
    }
    assert daemon.server.leases[0].plan.paths['full'].expected_energy_j > 0
    live.observe(record('full', live))
    assert live.made == 1, 'the same point is put in force once'
    live.set_tables(tables | {'gpu': tables['gpu'][:3]})
    assert live.active.plan.paths['full'].points[0] == top | {'gpu': tables['gpu'][2]}


def test_a_controller_that_leaves_the_clocks_alone_needs_no_lease(begin):
    with pytest.raises(ValueError, match='needs no lease'):
        begin(controller='full')


def test_thresholds_reach_the_engine_between_frames(begin):
    live, _ = begin(controller='plan')
    live.observe(record('full', live))
    assert live.engine.thresholds == ExitThresholds({})
    live.control.carry(Decision({'exit1': 0.25}))
    assert live.engine.thresholds == ExitThresholds({'exit1': 0.25})
    live.control.carry(Decision())
    assert live.engine.thresholds == ExitThresholds({'exit1': 0.25}), 'None leaves what is in force'


@dataclass(frozen=True)
class Further(Decision):
    """A decision of a kind that nobody can carry out yet."""

    lights: str | None = None


@pytest.mark.parametrize(
    ('decision', 'says'),
    [
        (Further(lights='on'), 'perception cannot carry out lights'),
        (Decision({'exit7': 0.5}), 'this network has no exit exit7; it has exit1, temporal'),
        (Decision({'full': 0.5}), 'no exit full'),
        (Decision(point={'cpu': 5}), 'no frequency 5 Hz'),
    ],
)
def test_what_cannot_be_carried_out_is_refused_and_nothing_changes(begin, decision, says):
    live, daemon = begin()
    before = live.active, live.engine.thresholds, daemon.server.leases[0].plan
    with pytest.raises((ValueError, OSError), match=says):
        live.control.carry(decision)
    assert (live.active, live.engine.thresholds, daemon.server.leases[0].plan) == before


def test_a_new_lease_begins_with_what_the_last_one_learned(begin):
    live, _ = begin(exit_shares={'full': 1.0})
    for _ in range(100):
        live.observe(record('temporal', live))
    share = live.controller.facts()['plan_share.temporal']
    assert float(share) > 0.3
    live.lease = None
    live.control.loop.turn()
    assert live.controller.facts()['plan_share.temporal'] == share


def test_frames_that_come_late_raise_the_clocks_within_ten_frames(begin):
    live, daemon = begin(deadline_s=2 * TIGHT_S, exit_shares={'full': 1.0})
    live.lease.computes_at_clocks = True
    late = []
    for _ in range(30):
        frame = record('full', live, longer=2.0)
        late.append(frame.result.latency_s > 2 * TIGHT_S)
        live.observe(frame)
    assert late[0]
    assert not any(late[10:])
    assert daemon.server.leases[0].plan == live.active.plan
    assert live.active.plan.paths['full'].expected_latency_s <= 2 * TIGHT_S
    assert float(live.controller.facts()['latency_factor']) == pytest.approx(2.0, rel=0.1)


def test_what_frames_take_below_a_virtual_boards_root_says_nothing_of_the_plan(begin):
    live, _ = begin(deadline_s=2 * TIGHT_S, exit_shares={'full': 1.0})
    assert not live.lease.computes_at_clocks
    for _ in range(30):
        live.observe(record('full', live, longer=2.0))
    assert live.controller.facts()['latency_factor'] == '1.00'


def test_a_plan_file_gives_way_to_frames_that_keep_missing_the_users_deadline(begin, plan_file):
    live, _ = begin(file=plan_file)
    live.lease.computes_at_clocks = True
    for _ in range(20):
        live.observe(record('full', live, longer=2.0))
    assert live.active.why == f'from {plan_file}', 'no deadline, so nothing is late'
    slow_s = live.active.plan.paths['full'].expected_latency_s
    live.set_deadline(1.5 * slow_s)
    for _ in range(10):
        live.observe(record('full', live, longer=2.0))
    assert live.active.why == 'frames came late under the plan file'
    live.set_tables(live.lease.frequencies_hz | {'gpu': live.lease.frequencies_hz['gpu'][:-1]})
    assert live.active.why != f'from {plan_file}'
    live.set_deadline(10 * slow_s)
    assert live.active.why == f'from {plan_file}', 'another deadline, another chance'


def measured(daemon_root: Path, longer: float = 2.0, **change) -> CostTable:
    """What `e4 profile --board here` would leave of a board that is slower than its file."""
    model = BoardModel(load_board(BOARD))
    table = CostTable.from_board(model, WORKS, 'net', ('cpu', 'gpu'))
    where = {'power_mode': power_mode(str(daemon_root)), 'bundle': 'abc'}
    return replace(table.scaled(np.full(3, longer)), source='measured', **(where | change))


def test_plans_count_on_costs_that_were_measured(begin, tmp_path):
    root = write_tree(BOARD, tmp_path / 'like')
    live, daemon = begin(table=measured(root), bundle='abc', deadline_s=2 * TIGHT_S)
    assert live.active.plan.source == 'measured'
    assert daemon.server.leases[0].plan == live.active.plan
    model = BoardModel(load_board(BOARD))
    path = live.active.plan.paths['full']
    by_file_s = sum(
        model.segment_cost(WORKS[row], model.default_point() | point).latency_s
        for row, point in zip(path.segments, path.points, strict=True)
    )
    assert path.expected_latency_s == pytest.approx(2 * by_file_s, rel=0.1)


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        ({'bundle': 'def'}, 'network files def'),
        ({'power_mode': 'nvpmodel:7:ODD'}, 'power mode nvpmodel:7:ODD'),
        ({'board': 'jetson_tx2'}, 'board jetson_tx2'),
        ({'devices': ('cpu', 'cpu', 'cpu')}, 'segments on cpu, cpu, cpu'),
    ],
)
def test_costs_of_another_place_are_refused_and_the_model_plans(begin, tmp_path, change, says):
    root = write_tree(BOARD, tmp_path / 'like')
    live, _ = begin(table=measured(root, **change), bundle='abc')
    live.control.loop.turn()
    assert 'table_file has no effect' in live.problem
    assert says in live.problem
    assert live.active.plan.source == 'modelled'


def test_another_power_mode_ends_what_was_measured_in_the_one_before(begin, tmp_path):
    root = write_tree(BOARD, tmp_path / 'like')
    live, daemon = begin(table=measured(root), bundle='abc')
    status = Path(daemon.config.root) / 'var/lib/nvpmodel/status'
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_text('pmode:0001')
    live.set_tables(daemon.core.frequencies_hz)
    assert live.active.why == 'the power mode changed'
    assert live.active.plan.source == 'modelled'
    assert 'table_file has no effect' in live.problem
    assert 'nvpmodel:1' in live.problem


def test_a_machine_that_nobody_described_is_planned_for_and_told_how_to_measure(begin, tmp_path):
    live, daemon = begin(board='')
    assert live.active.why == 'the stream begins'
    root = Path(daemon.config.root)
    found = see_machine('my_robot', str(root))
    assert found.described is None, 'the daemon was told that name; the machine has another'
    generic = load_board(BOARD).model_copy(update={'generic': True})
    board = replace(live.lease.state(math.nan, 0.0), name='elsewhere', described=generic)
    decision = live.controller.decide(Observation(board=board))
    assert decision.plan is not None
    assert '`e4 profile --board here` measures a table' in decision.why


def test_frames_that_say_nothing_sensible_and_pauses_disturb_nothing(begin):
    live, _ = begin(deadline_s=2 * TIGHT_S, exit_shares={'full': 1.0})
    live.lease.computes_at_clocks = True
    first = live.active
    path = live.active.plan.paths['full']
    for seconds, period_s in (
        ([math.nan] * 3, 0.2),
        ([math.inf, 0.0, -1.0], math.nan),
        ([0.01], 0.2),
    ):
        for _ in range(4):  # too few for a pace
            outcome = Outcome('full', seconds[0], math.nan, period_s, seconds, path.points)
            live.controller.observe(outcome)
    live.control.loop.turn()
    assert live.active.plan.paths == first.plan.paths
    usual = record('full', live).result.segment_s
    for _ in range(5):  # a bag that is paused now and then, and the first frame behind it is slow
        for seconds in ([30.0] * 3, *[usual] * 6):
            live.controller.observe(Outcome('full', 30.0, math.nan, None, seconds, path.points))
    live.control.loop.turn()
    assert live.active.why != 'frames came late'
    assert live.controller.facts()['late_share'] == '0.000'
    assert live.controller.facts()['latency_margin'] == '1.00'
    assert live.problem == ''
