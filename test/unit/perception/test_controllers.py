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

"""What every registered controller keeps to, and what single ones promise."""

from __future__ import annotations

import itertools
import math
import re
import time
from pathlib import Path

import numpy as np
import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import (
    BoardState,
    ControllerError,
    Decision,
    Observation,
    Outcome,
    StreamState,
    Wishes,
)
from e4_ros.perception.controllers import (
    bcedge,
    controllers,
    live_spec,
    make_controller,
    spec_of,
)
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.context import Context, Learnt
from e4_ros.perception.controllers.infer_edge import LEVELS, state_size
from e4_ros.perception.controllers.policy_net import PolicyNet
from e4_ros.perception.schedule import CameraState
from e4_ros.profiling.planning import planner

BOARD = 'jetson_orin_nano'
WORKS = [
    SegmentWork('prepare', 200e6, 8e6, 20, 'cpu'),
    SegmentWork('stage0', 300e6, 70e6, 30),
    SegmentWork('stage1', 900e6, 20e6, 10),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}
TABLES = {name: tuple(spec.allowed_hz) for name, spec in load_board(BOARD).domains.items()}
NAMES = [*controllers(), 'fixed:cpu=729.6MHz,gpu=306MHz', 'fixed:gpu=306MHz+exits']


def cameras_policy() -> PolicyNet:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(bcedge.ACTIONS, bcedge.STATE)).astype(np.float32)
    zeros, ones = np.zeros(bcedge.STATE, np.float32), np.ones(bcedge.STATE, np.float32)
    return PolicyNet(
        [weights], [np.zeros(bcedge.ACTIONS, np.float32)], (bcedge.ACTIONS,), zeros, ones
    )


def context() -> Context:
    learnt = Learnt(lambda state: int(1e3 * abs(float(state.sum()))) % 9, 15.0, 95.0, 0.1)
    known = {n: learnt for n in NAMES if n.startswith(('ztt', 'ring_dvfs_like'))}
    policies = {
        **dict.fromkeys(('bcedge:learned', 'bcedge:branching'), cameras_policy()),
        'infer_edge:learned': policy_of(versions=1),
    }
    stream = Stream('net', WORKS, PATHS)
    return Context(stream, ('cpu', 'gpu', 'emc'), learnt=known, policies=policies)


def policy_of(versions: int) -> PolicyNet:
    """One that was never trained."""
    size, choices = state_size(versions), versions + LEVELS
    generator = np.random.default_rng(0)
    return PolicyNet(
        [generator.normal(size=(choices, size)).astype(np.float32)],
        [np.zeros(choices, np.float32)],
        (versions, LEVELS),
        np.zeros(size, np.float32),
        np.ones(size, np.float32),
    )


def full_observation(tables=TABLES, **wishes) -> Observation:
    """As much as anybody can know."""
    board = BoardState(
        name=BOARD,
        tables=tables,
        point={name: table[-1] for name, table in tables.items()},
        pending={'cpu': tables['cpu'][0]},
        window_s=0.1,
        utilisation=dict.fromkeys(tables, 0.6),
        invariant_utilisation=dict.fromkeys(tables, 0.4),
        power_w=7.0,
        temperature_c=48.0,
    )
    last = Outcome('full', 0.05, 0.4, 0.1, board.point)
    stream, wished = StreamState(0.3, {'temporal': 0.8}, 1), Wishes(**wishes)
    queues = [CameraState('a', 1, 0.01, 0.05, 0.1, 0.02), CameraState('b', 0, 0.0, 0.2)]
    return Observation(3.0, stream, board, wished, last, cameras=queues)


def check_valid(decision: Decision, tables=TABLES) -> None:
    """Points within the tables, thresholds that gates can reach or are off."""
    assert isinstance(decision, Decision)
    for exit_name, threshold in (decision.thresholds or {}).items():
        assert exit_name in PATHS
        assert threshold >= 0
    points = [decision.point] if decision.point is not None else []
    if decision.plan is not None:
        decision.plan.check_model('net', [work.name for work in WORKS])
        decision.plan.check_board(BOARD)
        points = [point for path in decision.plan.paths.values() for point in path.points]
    for point in points:
        assert point
        for name, hertz in point.items():
            assert hertz in tables[name]


@pytest.mark.parametrize('name', NAMES)
def test_it_is_described_and_says_what_it_owns(name):
    spec = spec_of(name)
    assert spec.description
    decision = make_controller(name, context()).decide(full_observation())
    assert (decision.thresholds == {}) is not spec.exits
    assert (decision.plan is not None or decision.point is not None) is spec.clocks


@pytest.mark.parametrize('name', NAMES)
def test_it_decides_when_nothing_is_known_and_when_everything_is(name):
    controller = make_controller(name, context())
    empty = controller.decide(Observation())
    check_valid(empty)
    assert empty.plan is None
    assert empty.point is None
    for _ in range(20):
        check_valid(controller.decide(full_observation()))
    check_valid(controller.decide(Observation()))


@pytest.mark.parametrize('name', NAMES)
def test_it_decides_after_any_outcome(name):
    controller = make_controller(name, context())
    check_valid(controller.decide(full_observation()))
    for exit_name, joules, period_s in itertools.product(
        (*PATHS, 'unheard_of'), (0.2, math.nan), (None, 0.0, 0.1)
    ):
        outcome = Outcome(exit_name, 0.03, joules, period_s, full_observation().board.point)
        controller.observe(outcome)
        check_valid(controller.decide(full_observation()))


@pytest.mark.parametrize('name', NAMES)
def test_it_survives_a_board_that_tells_nothing(name):
    controller = make_controller(name, context())
    seen = Observation(board=BoardState(name=BOARD, tables=TABLES))
    for _ in range(10):
        controller.observe(Outcome('temporal', math.nan))
        check_valid(controller.decide(seen))


@pytest.mark.parametrize('name', [n for n in NAMES if '=' not in n])
def test_it_keeps_to_limits_that_change(name):
    controller = make_controller(name, context())
    check_valid(controller.decide(full_observation()))
    lower = {name: table[: max(len(table) // 2, 1)] for name, table in TABLES.items()}
    check_valid(controller.decide(full_observation(lower)), lower)


@pytest.mark.parametrize('name', NAMES)
def test_the_same_history_brings_the_same_decisions(name):
    def history() -> list[Decision]:
        controller = make_controller(name, context())
        found = [controller.decide(full_observation())]
        for exit_name in ('temporal', 'full', 'exit1') * 30:
            controller.observe(Outcome(exit_name, 0.02, 0.1, 0.1))
            found.append(controller.decide(full_observation()))
        return found

    assert history() == history()


@pytest.mark.parametrize('name', NAMES)
def test_deciding_a_hundred_times_takes_no_seconds(name):
    """A sanity check, hundreds of times what it takes: nothing here may wait or search for long."""
    controller = make_controller(name, context())
    controller.decide(full_observation())
    began = time.perf_counter()
    for _ in range(100):
        controller.observe(Outcome('temporal', 0.02, 0.1, 0.1))
        controller.decide(full_observation())
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize('name', ['guess', 'fixed:', 'fixed:cpu', 'fixed:cpu=fast', 'e4+exits', ''])
def test_an_unknown_name_is_refused_with_what_there_is(name):
    with pytest.raises(ControllerError, match=r'there is no controller|controller .* is no'):
        make_controller(name, context())


def test_a_given_point_that_the_board_lacks_is_refused():
    for name, says in (('fixed:cpu=5Hz', 'no clock 5 Hz'), ('fixed:npu=1GHz', 'has no npu')):
        with pytest.raises(ControllerError, match=says):
            make_controller(name, context()).decide(full_observation())


def test_a_learning_governor_that_has_not_learned_is_refused():
    with pytest.raises(ControllerError, match='has to learn first'):
        make_controller('ztt', Context(Stream('net', WORKS, PATHS)))


def test_the_best_fixed_point_is_best():
    controller = make_controller('fixed:best', context())
    tables = {name: TABLES[name] for name in ('cpu', 'gpu')}
    chosen = controller.decide(full_observation(tables)).point
    model, base = BoardModel(load_board(BOARD)), BoardModel(load_board(BOARD)).default_point()

    def joules(point):
        return sum(model.segment_cost(work, base | point).energy_j for work in WORKS)

    def seconds(point):
        return sum(model.segment_cost(work, base | point).latency_s for work in WORKS)

    points = [dict(zip(tables, hz, strict=True)) for hz in itertools.product(*tables.values())]
    bound_s = 3 * min(map(seconds, points))  # what deadline 0 means
    best = min((p for p in points if seconds(p) <= bound_s), key=joules)
    assert joules(chosen) == pytest.approx(joules(best))
    with pytest.raises(ValueError, match='the fastest needs'):
        controller.check(full_observation(deadline_s=1e-6))


def test_a_users_plan_holds_until_limits_break_it():
    plan = planner.plan(BOARD, WORKS, PATHS, {'full': 1.0}, model='net')
    controller = make_controller('e4', context())
    wanted = {'plan': plan, 'plan_origin': 'mine.yaml'}
    assert controller.decide(full_observation(**wanted)).plan is plan
    for _ in range(300):
        controller.observe(Outcome('temporal', 0.02, 0.1, 0.1))
    assert controller.decide(full_observation(**wanted)).plan is plan
    lower = {name: table[:1] for name, table in TABLES.items()}
    other = controller.decide(full_observation(lower, **wanted))
    check_valid(other, lower)
    assert other.why == 'the limits changed'
    assert controller.decide(full_observation(**wanted)).plan is plan
    assert controller.decide(full_observation()).why == 'the plan file was taken away'


@pytest.mark.parametrize('threshold', [-0.1, math.nan])
def test_a_threshold_that_is_none_is_refused(threshold):
    with pytest.raises(ControllerError, match='must be 0 or more'):
        Decision({'exit1': threshold})


@pytest.mark.parametrize('name', [spec.name for spec in controllers().values() if not spec.live])
def test_what_only_the_simulator_can_run_is_refused_elsewhere(name):
    with pytest.raises(ControllerError, match='runs in the simulator only'):
        live_spec(name)


def test_the_example_of_the_docs_is_a_controller():
    text = (Path(__file__).parents[3] / 'docs' / 'controllers.md').read_text()
    (code,) = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    names = {'DepthOnly': DepthOnly, 'Observation': Observation, 'Decision': Decision}
    exec(compile(f'from __future__ import annotations\n{code}', 'controllers.md', 'exec'), names)
    sprint = names['Sprint'](exits=True)
    check_valid(sprint.decide(Observation()))
    top = {name: table[-1] for name, table in TABLES.items()}
    assert sprint.decide(full_observation()).point == top
