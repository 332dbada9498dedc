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

"""Blocks that fail are repeated, and what was finished is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pytest

from e4_ros.energy.meters.meters import EnergyReading
from e4_ros.evaluation.comparison.arms import ARMS, Arm
from e4_ros.evaluation.comparison.block import Answer, Answered, BlockError
from e4_ros.evaluation.comparison.feed import Arrived, RecordedFeed
from e4_ros.evaluation.comparison.result import Facts, Result, evaluate
from e4_ros.evaluation.comparison.runner import Measured, measure
from e4_ros.evaluation.comparison.schedule import schedule
from e4_ros.evaluation.comparison.timing import Clock
from e4_ros.evaluation.comparison.words import notes, sentence
from e4_ros.vision.detections import Detections

_POWER_W = {'stock': 5.0, 'ladder': 4.5, 'clocks': 4.2, 'both': 4.0}
_FEED = RecordedFeed('f', [np.zeros((4, 6, 3), np.uint8)] * 10, 0.1)


class _Clock(Clock):
    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> float:
        """Seconds."""
        return self.time_s

    def sleep_until(self, time_s: float) -> None:
        """Let time pass."""
        self.time_s = max(self.time_s, time_s)


class _Machine:
    """Draws so many watts with each arm; answers take 20 ms, or 150 with the full network."""

    def __init__(self, before: Callable[[Arm, int], None] = lambda arm, count: None) -> None:
        self.clock = _Clock()
        self.meter = self
        self.missing_s = 0.0
        self.before, self._count = before, 0
        self._watts, self._last_s, self._joules = 3.0, 0.0, 0.0
        self.heat: list[str] = []

    def read(self) -> EnergyReading:
        now_s = self.clock.now()
        self._joules += self._watts * (now_s - self._last_s)
        self._last_s = now_s
        return EnergyReading(
            self._joules, self._watts, {}, {}, 'measured', self.missing_s, time_s=now_s
        )

    @contextmanager
    def arm(self, arm: Arm) -> Iterator[Answer]:
        self.read()
        self._watts = _POWER_W[arm.name]
        self._count += 1
        count = self._count

        def answer(arrived: Arrived) -> Answered:
            self.before(arm, count)
            self.clock.time_s += 0.02 if arm.exits else 0.15
            return Answered('track' if arm.exits else 'full', Detections.empty())

        yield answer
        self.read()
        self._watts = 3.0

    def temperatures_c(self) -> Mapping[str, float]:
        return {'cpu': 50.0}

    def hot(self) -> str:
        return self.heat.pop() if self.heat else ''

    def exact_j(self) -> float:
        return math.nan


def _run(machine: _Machine, minutes: float = 2.0) -> Measured:
    return measure(machine, _FEED, ARMS, schedule(minutes, 4, 0), 0.1)


def _result(found: Measured, **facts: object) -> Result:
    given = {'measured': True, 'meter': 'counters', 'same_frames': True, **facts}
    about = Facts('board', 'pc', 'net', 'cpu', 'f', period_s=0.1, deadline_s=0.1, **given)  # type: ignore[arg-type]
    return evaluate(found, schedule(2.0, 4, 0), about, 'detect', 0.3)


def test_watts_lateness_and_savings_come_out_as_they_are() -> None:
    found = _result(_run(_Machine()))
    assert found.rounds == 4
    assert found.idle_w == pytest.approx(3.0)
    stock, both = found.stock, found.best
    assert stock.power_w is not None
    assert stock.power_w.value == pytest.approx(5.0)
    assert both.energy_j is not None
    assert both.energy_j.value == pytest.approx(0.4)
    assert both.saved is not None
    assert both.saved.value == pytest.approx(0.2, abs=1e-3)
    assert stock.late.value == pytest.approx(1.0)  # 150 ms, and half of the frames passed over
    assert both.late.value == 0.0
    assert both.exits == {'track': 1.0}
    assert both.agreement is None  # there is nothing in the pictures
    assert 'saves 20.0 % (20.0 to 20.0) of the energy of every frame: 400.0 mJ' in sentence(found)


def test_a_block_whose_lease_is_lost_is_repeated_and_said() -> None:
    def lose(arm: Arm, count: int) -> None:
        if count == 5:
            raise BlockError('the lease was lost: the daemon is gone')

    found = _run(_Machine(lose))
    assert len(found.rounds) == 4
    assert len(found.repeated) == 1
    assert 'the lease was lost: the daemon is gone' in found.repeated[0]
    assert [n for block in found.blocks for n in block.notes] == [
        'repeated: the lease was lost: the daemon is gone'
    ]
    assert any(note.startswith('Repeated: round 1') for note in notes(_result(found)))


def test_a_block_that_fails_for_good_keeps_the_finished_rounds() -> None:
    def lose(arm: Arm, count: int) -> None:
        if count > 8:
            raise BlockError('no')

    found = _run(_Machine(lose))
    assert len(found.rounds) == 1
    assert 'failed 3 times: no' in found.ended


def test_nothing_finished_is_no_result() -> None:
    def lose(arm: Arm, count: int) -> None:
        raise BlockError('no')

    with pytest.raises(BlockError, match='failed 3 times: no'):
        _run(_Machine(lose))


def test_ctrl_c_keeps_the_finished_rounds() -> None:
    def interrupt(arm: Arm, count: int) -> None:
        if count == 12:
            raise KeyboardInterrupt

    found = _run(_Machine(interrupt))
    assert len(found.rounds) == 2
    assert found.ended == 'interrupted'
    assert 'Ended early: interrupted. Finished rounds count.' in notes(_result(found))


def test_ctrl_c_in_the_first_round_is_an_interruption() -> None:
    def interrupt(arm: Arm, count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run(_Machine(interrupt))


def test_a_hot_block_is_repeated_once_and_then_kept_as_the_board_s_own_way() -> None:
    once = _Machine()
    once.heat = ['cpu at 97 °C']
    found = _run(once)
    assert found.repeated == ['practice, clocks: cpu at 97 °C']
    assert not any('hot' in note.partition(':')[0] for b in found.blocks for note in b.notes)
    always = _Machine()
    always.hot = lambda: 'cpu at 97 °C'  # type: ignore[method-assign]
    found = measure(always, _FEED, ARMS, schedule(0.5, 4, 0), 0.1)
    assert len(found.rounds) == 1
    assert all('hot: cpu at 97 °C' in block.notes for block in found.blocks)


def test_rails_that_fall_silent_make_a_block_that_does_not_count() -> None:
    machine = _Machine()

    def silence(arm: Arm, count: int) -> None:
        machine.missing_s += 0.05 if count == 4 else 0.0

    machine.before = silence
    found = _run(machine)
    assert found.repeated == [f'round 1, {found.blocks[1].arm}: the power rails stopped answering']


def test_modelled_joules_are_no_saving() -> None:
    found = _result(_run(_Machine()), measured=False, meter='the model of board')
    assert 'modelled, and no saving that anybody has measured' in sentence(found)
    assert found.as_dict()['saving'] is None
    assert found.as_dict()['source'] == 'modelled'


def test_without_any_word_of_joules_only_the_rest_is_told() -> None:
    found = _result(_run(_Machine()), measured=False, meter='')
    assert found.stock.energy_j is None
    assert sentence(found).startswith('Nothing tells the joules of board: no saving can be stated')
    assert found.as_dict()['source'] == 'none'


def test_a_difference_within_the_interval_is_no_saving() -> None:
    measured = _run(_Machine())
    for number, blocks in enumerate(measured.rounds):
        block = blocks['both']
        factor = 1.4 if number % 2 else 1.2
        blocks['both'] = type(block)(**{**vars(block), 'energy_j': block.energy_j * factor})
    assert sentence(_result(measured)).startswith('No saving was found on board')


def test_one_round_states_no_certainty() -> None:
    found = _result(_run(_Machine(), 0.5))
    assert found.rounds == 1
    assert 'nothing of how sure that is. Give it more minutes.' in sentence(found)
