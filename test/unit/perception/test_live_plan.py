"""Plans of a lease on a virtual board: a real daemon and client, frames of made-up exits."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.client.client import DaemonError, DvfsClient
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.plan import PlanError
from e4_ros.energy.virtual.board import write_tree
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.live_plan import LivePlan
from e4_ros.profiling.planning import planner
from e4_ros.profiling.planning.ceiling import PATIENCE_FRAMES
from e4_ros.profiling.planning.objective import PlanningError

BOARD = 'jetson_nano'
WORKS = [
    SegmentWork('prepare', 200e6, 8e6, 20, 'cpu'),
    SegmentWork('stage0', 300e6, 70e6, 30),
    SegmentWork('stage1', 900e6, 20e6, 10),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}
STREAM = Stream('net', WORKS, PATHS)
TIGHT_S = 0.05  # the fastest needs 43.5 ms


@pytest.fixture
def begin():
    """Starts a daemon (with its own limits, if any) and plans for its lease."""
    with tempfile.TemporaryDirectory(prefix='e4') as name:
        folder = Path(name)
        stop = []

        def start(limits=None, board=BOARD, **settings) -> tuple[LivePlan, Daemon]:
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
            return LivePlan(client, STREAM, threading.Lock(), **settings), daemon

        yield start
        for step in reversed(stop):
            step()


def record(exit_name: str, live: LivePlan, **held: int):
    """A frame that left at ``exit_name``, its clocks as planned but for those ``held``."""
    path = live.active.plan.paths[exit_name]
    points = [{n: min(hz, held.get(n, hz)) for n, hz in point.items()} for point in path.points]
    result = SimpleNamespace(exit=exit_name)
    return SimpleNamespace(result=result, points=points)


def highest(live: LivePlan, domain: str) -> int:
    return max(p[domain] for path in live.active.plan.paths.values() for p in path.points)


@pytest.fixture
def plan_file(tmp_path) -> str:
    plan = planner.plan(BOARD, WORKS, PATHS, {'full': 1.0}, model='net')
    plan.save(tmp_path / 'plan.yaml')
    return str(tmp_path / 'plan.yaml')


def test_it_begins_with_a_plan_of_its_own_and_says_so(begin):
    live, daemon = begin()
    assert daemon.core.plan == live.active.plan
    assert live.active.why == 'the stream begins'
    assert len(live.active.id) == 8


def test_exits_that_drift_bring_a_new_plan_to_the_daemon(begin):
    live, daemon = begin(deadline_s=TIGHT_S, exit_shares={'full': 1.0})
    first = live.active
    for _ in range(400):
        live.observe(record('temporal', live))
    assert live.active.why == 'the exits drifted'
    assert daemon.core.plan == live.active.plan
    assert live.active.id != first.id
    assert live.active.plan.name != first.plan.name
    assert 1 < live.made <= 6
    was, now = (a.plan.paths['temporal'].expected_energy_j for a in (first, live.active))
    assert now < was


def test_memory_is_clocked_where_that_is_wanted(begin):
    live, daemon = begin(domains=['cpu', 'gpu', 'emc'])
    assert set(live.active.plan.domains) == {'cpu', 'gpu', 'emc'}
    assert daemon.core.plan == live.active.plan


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
    assert daemon.core.plan == live.active.plan


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
    for refuse in (live.check_deadline, live.set_deadline):
        with pytest.raises(PlanningError, match='the fastest needs'):
            refuse(1e-6)
    assert daemon.core.plan == before.plan == live.active.plan


def test_a_plan_file_is_put_in_force_and_taken_away(begin, plan_file):
    live, daemon = begin()
    live.load(plan_file)
    assert live.active.why == f'from {plan_file}'
    assert daemon.core.plan == live.active.plan
    for _ in range(400):
        live.observe(record('temporal', live))
    assert live.active.why == f'from {plan_file}'  # it is the user's
    live.load('')
    assert live.active.why == 'the plan file was taken away'
    assert daemon.core.plan == live.active.plan


def test_a_plan_file_gives_way_to_limits_and_is_used_again(begin, plan_file):
    live, daemon = begin(plan_file=plan_file)
    tables = daemon.core.frequencies_hz
    used = highest(live, 'gpu')
    live.set_tables(tables | {'gpu': [hz for hz in tables['gpu'] if hz < used]})
    assert live.active.why == 'the limits changed'
    assert highest(live, 'gpu') < used
    live.set_tables(tables)
    assert live.active.why == f'from {plan_file}'
    assert daemon.core.plan == live.active.plan


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
    live, daemon = begin(plan_file=plan_file)
    bad = live.active.plan.model_copy(update=change)
    bad.save(tmp_path / 'bad.yaml')
    with pytest.raises(PlanError, match=says):
        live.load(str(tmp_path / 'bad.yaml'))
    assert daemon.core.plan == live.active.plan
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
            live.check_file(str(tmp_path / 'bad.yaml'))


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
    live, _ = begin(board='my_robot', plan_file=str(tmp_path / 'mine.yaml'))
    assert live.exit_shares is None
    live.observe(record('full', live))
    with pytest.raises(ValueError, match='a plan file is needed'):
        live.load('')


def test_a_daemon_that_is_gone_is_a_problem_not_an_error_in_the_stream(begin):
    live, daemon = begin(deadline_s=TIGHT_S, exit_shares={'full': 1.0})
    daemon.stop()
    for _ in range(400):
        live.observe(record('temporal', live))
    assert 'planning again failed' in live.problem
    with pytest.raises(DaemonError):
        live.set_deadline(0.044)
