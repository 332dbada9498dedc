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

from dataclasses import dataclass, replace

import numpy as np
import pytest

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.energy.plan import FrequencyPlan, PlanPath
from e4_ros.evaluation.simulation.machine import Frame, Machine
from e4_ros.evaluation.simulation.playback import Played, Timeline, play
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import ControllerError, Decision, Observation, Wishes
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.context import Context
from e4_ros.profiling.planning.delays import play_frame, slowest_path_s
from e4_ros.profiling.planning.objective import SwitchCost, make_problem
from e4_ros.profiling.planning.planner import search
from e4_ros.profiling.planning.search import best_fixed

WORKS = [
    SegmentWork('prepare', 0, 1.35e6, 8, 'cpu'),
    SegmentWork('stage0', 300e6, 70e6, 30),
    SegmentWork('stage1', 300e6, 70e6, 30),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}


def machine(board: str = 'jetson_nano', switch: SwitchCost | None = None) -> Machine:
    return Machine.of(load_board(board), WORKS, 'net', switch=switch)


CONTEXT = Context(Stream('net', WORKS, PATHS), ('cpu', 'gpu', 'emc'))


def frames(count: int, period_s: float, depth: int = 3) -> list[Frame]:
    return [Frame(i * period_s, depth) for i in range(count)]


def play_plan(
    m: Machine, stream: list[Frame], clocks: list[tuple], deadline_s: float, end_s: float
) -> Played:
    """Play E4 with a plan of these clock indices, one tuple a segment."""
    table = m.table
    points = [
        {n: axis[i] for n, axis, i in zip(table.domains, table.axes_hz, clock, strict=True)}
        for clock in clocks
    ]
    path = PlanPath(segments=[0, 1, 2], points=points, expected_latency_s=0, expected_energy_j=0)
    plan = FrequencyPlan(
        name='given',
        board=table.board,
        model='net',
        segments=list(table.segments),
        devices=list(table.devices),
        paths={'full': path},
        source='modelled',
    )
    wishes = Wishes(deadline_s, plan, 'the test', replan=False)
    return play(m, stream, make_controller('e4', CONTEXT), wishes, end_s)


def play_named(m: Machine, stream: list[Frame], name: str, wishes=None, end_s: float = 0.0):
    return play(m, stream, make_controller(name, CONTEXT), wishes or Wishes(1.0), end_s)


def test_a_fixed_point_costs_what_the_table_says():
    m = machine()
    p = 37
    period_s = 2 * m.table.latency_s[:, p].sum()
    clocks = [tuple(m.table.coordinates[p])] * 3
    played = play_plan(m, frames(10, period_s), clocks, 1.0, 10 * period_s)
    latency_s = m.table.latency_s[:, p].sum()
    assert played.latency_s == pytest.approx([latency_s] * 10)
    joules = m.table.energy_j[:, p].sum() + m.idle_w[p] * (period_s - latency_s)
    assert played.energy_j_per_frame == pytest.approx(joules)
    assert played.switches == 0


def test_a_switch_takes_effect_late_and_costs_its_stall():
    m = machine(switch=SwitchCost((1e-3, 2e-3), (5e-3, 8e-3)))
    slow, fast = (3, 2), (14, 11)
    numbers = [int(np.dot(c, m.table.strides)) for c in (slow, fast, fast)]
    row = np.array(numbers)
    mixed_cpu = int(np.dot((14, 2), m.table.strides))
    seconds, _ = play_frame(m.table, m.switch, [0, 1], row)
    t = m.table.latency_s
    first = t[0, numbers[0]]
    # 3 ms of stall run as pauses, then the old point, then the CPU's, then the GPU's new clock.
    # The GPU is asked after the CPU's stall of 1 ms.
    done = (5e-3 - 3e-3) / t[1, numbers[0]] + 4e-3 / t[1, mixed_cpu]
    expected = first + 9e-3 + (1 - done) * t[1, numbers[1]]
    assert seconds == pytest.approx(expected, rel=1e-9)


def test_one_frame_and_the_timeline_agree_without_stalls():
    m = machine('jetson_tx2', SwitchCost((0.0, 0.0), (1e-3, 5e-3)))
    clocks = [(2, 3), (11, 10), (5, 6)]
    points = np.array([int(np.dot(c, m.table.strides)) for c in clocks])
    seconds, joules = play_frame(m.table, m.switch, [0, 1, 2], points)
    played = play_plan(m, [Frame(0.0, 3)], clocks, 1.0, 0.0)
    assert played.latency_s[0] == pytest.approx(seconds, rel=1e-9)
    assert played.energy_j_per_frame == pytest.approx(joules, rel=1e-9)


@pytest.mark.parametrize('board', ['jetson_nano', 'jetson_xavier_nx', 'jetson_agx_orin'])
@pytest.mark.parametrize('slack', [1.2, 2.0, 3.0])
def test_what_the_planner_promises_holds_when_played(board, slack):
    m = machine(board)
    shares = {'temporal': 0.6, 'exit1': 0.1, 'full': 0.3}
    problem = make_problem(m.table, PATHS, shares, 0, m.switch)
    problem = replace(problem, idle_w=float(m.idle_w.min()), deadline_s=slack * problem.fastest_s)
    found = search(problem)
    assert slowest_path_s(problem, found.points) <= problem.deadline_s * (1 + 1e-9)
    assert found.energy_j <= best_fixed(problem).energy_j * (1 + 1e-9)


def test_governors_follow_the_load():
    m = machine('jetson_nano')
    fastest_s = float(m.table.latency_s.sum(axis=0).min())

    def joules(name: str, period_s: float) -> tuple[float, float]:
        played = play_named(m, frames(150, period_s), name, end_s=150 * period_s)
        return played.energy_j_per_frame, float(np.median(played.latency_s))

    quiet = 4 * fastest_s
    top_j, top_s = joules('performance', quiet)
    governed_j, governed_s = joules('nvhost_podgov', quiet)
    assert governed_j < top_j
    assert governed_s > top_s == pytest.approx(fastest_s)
    _, low_s = joules('powersave', 60 * fastest_s)
    assert low_s > 2 * governed_s


def test_a_busy_board_heats_and_a_waiting_one_cools():
    m = machine('jetson_xavier_nx')
    fastest_s = float(m.table.latency_s.sum(axis=0).min())
    busy = play_named(m, frames(3000, fastest_s), 'fixed:max')
    quiet = play_named(m, frames(300, 10 * fastest_s), 'fixed:max')
    assert busy.peak_c > quiet.peak_c > 25


def test_frames_queue_when_the_board_is_too_slow():
    m = machine()
    period_s = 0.5 * float(m.table.latency_s[:, 0].sum())
    played = play_named(m, frames(10, period_s), 'fixed:min')
    assert (np.diff(played.latency_s) > 0).all()
    assert played.miss_percent(period_s) == 100


@pytest.mark.parametrize('board', ['jetson_nano', 'jetson_orin_nano', 'jetson_agx_orin'])
def test_a_verified_plan_is_never_late_on_the_timeline(board):
    """Frames of any exit in any order, back to back: one a deadline."""
    m = machine(board)
    shares = {'temporal': 0.5, 'exit1': 0.2, 'full': 0.3}
    problem = make_problem(m.table, PATHS, shares, 0, m.switch)
    problem = replace(problem, idle_w=float(m.idle_w.min()), deadline_s=1.5 * problem.fastest_s)
    found = search(problem)
    depths = np.random.default_rng(5).choice([1, 2, 3], 300, p=[0.5, 0.2, 0.3])
    stream = [Frame(i * problem.deadline_s, int(d)) for i, d in enumerate(depths)]
    clocks = [tuple(c) for c in m.table.coordinates[found.points]]
    played = play_plan(m, stream, clocks, problem.deadline_s, 0.0)
    assert played.miss_percent(problem.deadline_s * (1 + 1e-9)) == 0


def test_clocks_that_a_controller_leaves_alone_are_the_kernels():
    m = machine('jetson_nano')
    period_s = 3 * float(m.table.latency_s.sum(axis=0).min())
    stream = frames(60, period_s)
    left = play_named(m, stream, 'full', end_s=60 * period_s)
    stock = play_named(m, stream, 'nvhost_podgov', end_s=60 * period_s)
    assert left.energy_j_per_frame == stock.energy_j_per_frame
    assert left.switches == stock.switches > 0


def test_frames_stop_early_only_where_the_controller_lets_them():
    m = machine('jetson_nano')
    stream = [Frame(float(i), 1, 'temporal') for i in range(5)]
    early, whole = (play_named(m, stream, name) for name in ('exits', 'full'))
    assert early.latency_s.max() < whole.latency_s.min()


def test_e4_plans_again_on_the_timeline_as_it_does_on_a_robot():
    m = machine('jetson_tx2')
    deadline_s = 1.5 * float(m.table.latency_s.sum(axis=0).min())
    stream = [Frame(i * deadline_s, 3, 'full') for i in range(300)]
    controller = make_controller('e4', CONTEXT)
    timeline = Timeline(m, controller, Wishes(deadline_s))
    first = controller.decide(timeline.seen()).plan
    timeline.run(stream, 0.0)
    decided = controller.decide(timeline.seen())
    assert decided.plan is not first
    assert decided.why in ('the exits drifted', 'the pace of the frames changed')


class Asks(DepthOnly):
    """Decides the same, always."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(exits=True)
        self._decision = decision

    def decide(self, seen: Observation) -> Decision:
        return self._decision


@dataclass(frozen=True)
class Further(Decision):
    """A decision of a kind that nobody can carry out yet."""

    offload: str | None = None


@pytest.mark.parametrize(
    ('decision', 'says'),
    [
        (Further(offload='add_5'), 'the simulator cannot carry out offload'),
        (Decision({'temporal': 0.9}), 'cannot try other thresholds'),
        (Decision(point={'cpu': 123}), 'no clock of 123 Hz'),
    ],
)
def test_what_cannot_be_played_is_refused(decision, says):
    with pytest.raises(ControllerError, match=says):
        play(machine(), frames(2, 1.0), Asks(decision), Wishes(1.0), 0.0)


def test_frames_that_wait_are_seen():
    m = machine()
    period_s = 0.4 * float(m.table.latency_s.sum(axis=0).min())
    timeline = Timeline(m, make_controller('fixed:max', CONTEXT), Wishes(1.0))
    stream = frames(10, period_s)
    arrivals = np.array([f.arrival_s for f in stream])
    timeline.run_frame(stream[0], arrivals)
    assert timeline.seen().stream.waiting == 2


@pytest.mark.parametrize('board', ['jetson_nano', 'jetson_orin_nano'])
@pytest.mark.parametrize('truth', [0.5, 2.0])
def test_a_board_file_that_is_wrong_by_two_is_corrected_while_frames_run(board, truth):
    m = machine(board)
    m = replace(m, table=m.table.scaled(np.full(3, truth)))
    deadline_s = 1.5 * float(m.table.latency_s.sum(axis=0).min())
    e4 = make_controller('e4', CONTEXT)
    timeline = Timeline(m, e4, Wishes(deadline_s))
    late = [
        timeline.run_frame(frame) > deadline_s * (1 + 1e-9)
        for frame in frames(140, 1.5 * deadline_s)
    ]
    assert np.mean(late[30:130]) < 0.02
    assert float(e4.facts()['latency_factor']) == pytest.approx(truth, rel=0.1)


def test_a_deadline_that_a_slow_file_calls_impossible_is_kept_once_frames_are_seen():
    m = machine()
    deadline_s = 0.75 * float(m.table.latency_s.sum(axis=0).min())
    e4 = make_controller('e4', CONTEXT)
    timeline = Timeline(replace(m, table=m.table.scaled(np.full(3, 0.5))), e4, Wishes(deadline_s))
    assert 'at the fastest clocks' in e4.decide(timeline.seen()).problem
    for frame in frames(50, 2 * deadline_s):
        assert timeline.run_frame(frame) <= deadline_s
    decision = e4.decide(timeline.seen())
    assert decision.problem == ''
    top = {name: axis[-1] for name, axis in zip(m.table.domains, m.table.axes_hz, strict=True)}
    assert any(point != top for point in decision.plan.paths['full'].points)
