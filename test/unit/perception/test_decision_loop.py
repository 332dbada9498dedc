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

"""Controllers that raise, dawdle or are overtaken: the frames go on with what is in force."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from e4_ros.perception.controller import ControllerError, Decision, Observation, Outcome
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.decision_loop import MAX_AGE_S, DecisionLoop

FRAME = Outcome('full', 0.02)


class Script(DepthOnly):
    """Does as told when it is asked."""

    def __init__(self, decide) -> None:
        super().__init__(exits=True)
        self._decide = decide
        self.outcomes: list[Outcome] = []

    def decide(self, seen: Observation) -> Decision:
        return self._decide(seen)

    def observe(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def make(decide, now_s=time.monotonic) -> tuple[DecisionLoop, Script, list[Decision]]:
    carried: list[Decision] = []
    controller = Script(decide)
    return DecisionLoop(controller, look, carried.append, now_s), controller, carried


def look(last: Outcome | None) -> Observation:
    return Observation(last=last)


def raising(seen: Observation) -> Decision:
    raise ZeroDivisionError('nothing to divide by')


def until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_it_tells_every_outcome_in_order_and_carries_the_decision_out():
    loop, controller, carried = make(lambda seen: Decision({seen.last.exit: 0.5}))
    outcomes = [Outcome(name, 0.1) for name in ('temporal', 'full', 'exit1')]
    for outcome in outcomes:
        loop.submit(outcome)
    loop.turn()
    assert controller.outcomes == outcomes
    assert carried == [Decision({'exit1': 0.5})]


def test_a_controller_that_raises_is_told_once_and_nothing_is_carried_out(caplog):
    loop, _, carried = make(raising)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            loop.submit(FRAME)
            loop.turn()
    assert carried == []
    assert loop.failures == 5
    assert [r.message for r in caplog.records] == [
        'the controller failed: nothing to divide by; going on with what is in force'
    ]


def test_one_that_raises_for_an_outcome_is_still_asked():
    loop, controller, carried = make(lambda seen: Decision())
    controller.observe = raising
    loop.submit(FRAME)
    loop.turn()
    assert loop.failures == 1
    assert carried == [Decision()]
    assert loop.problem == ''


def test_a_decision_that_comes_late_is_passed_over():
    now = [0.0]

    def slow(seen: Observation) -> Decision:
        now[0] += MAX_AGE_S + 0.1
        return Decision({})

    loop, _, carried = make(slow, lambda: now[0])
    loop.turn()
    assert carried == []
    assert loop.late == 1
    assert 'took longer than 1 s' in loop.problem


def test_a_decision_about_limits_that_have_changed_is_passed_over_and_asked_for_again():
    loop, _, carried = make(lambda seen: Decision({}))
    loop._controller = Script(lambda seen: loop.changed() or Decision({}))
    loop.turn()
    assert carried == []
    assert loop.outdated == 1
    loop._controller = Script(lambda seen: Decision({}))
    loop.turn()
    assert carried == [Decision({})]


def test_what_cannot_be_carried_out_is_a_problem_until_something_can():
    def carry(decision: Decision) -> None:
        if decision.thresholds:
            raise OSError('the daemon is gone')

    answers = [Decision({'exit1': 1.0}), Decision()]
    loop = DecisionLoop(Script(lambda seen: answers.pop(0)), look, carry)
    loop.turn()
    assert loop.problem == 'a decision cannot be carried out: the daemon is gone'
    loop.turn()
    assert loop.problem == ''


def test_nobody_waits_for_a_controller_that_hangs():
    hangs, asked = threading.Event(), threading.Event()

    def hang(seen: Observation) -> Decision:
        asked.set()
        hangs.wait()
        return Decision({})

    loop, _, carried = make(hang)
    loop.start()
    try:
        loop.submit(FRAME)
        assert asked.wait(20)
        began = time.monotonic()
        for _ in range(1000):
            loop.submit(FRAME)
        assert time.monotonic() - began < 1.0
        with pytest.raises(ControllerError, match='gave no answer'):
            loop.ask(Observation(), timeout_s=0.05)
        assert not loop.stop(timeout_s=0.05)
    finally:
        hangs.set()
    until(lambda: loop.outdated == 1)
    assert carried == [], 'what it decides after the end is passed over'


def test_the_thread_thinks_beside_whoever_submits():
    loop, controller, carried = make(lambda seen: Decision({}))
    loop.start()
    for _ in range(20):
        loop.submit(FRAME)
    until(lambda: len(controller.outcomes) == 20 and carried)
    assert loop.ask(Observation()) == Decision({})
    controller._decide = raising
    with pytest.raises(ZeroDivisionError):
        loop.ask(Observation())
    assert loop.stop()
