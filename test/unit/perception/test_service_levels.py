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
"""Service levels: who is next, what is dropped, how deep a frame goes, and that nobody starves."""

from __future__ import annotations

import heapq
import math
import random
from types import SimpleNamespace

import pytest

from e4_ros.perception.newest_slots import NewestSlots, Waiting
from e4_ros.perception.schedule import Schedule
from e4_ros.perception.service_levels import PATIENCE_S, Followed, ServiceLevels

TRACK_S, FULL_S = 0.0015, 0.015
EXITS = ('track', 'exit1', 'full')


def levels(*slo_s, follows=True, known=True, exits=EXITS):
    """Service levels at a clock that is moved by hand, whose cameras have answered just now."""
    clock = SimpleNamespace(s=100.0)
    made = ServiceLevels(slo_s, lambda: clock.s)
    for place in range(len(slo_s)):
        made.attach(place, Followed(lambda: exits, lambda: follows))
        if known:
            for name, seconds in zip(EXITS, (TRACK_S, 0.006, FULL_S), strict=True):
                made.answered(place, name, clock.s - seconds, clock.s - seconds)
    return made, clock


def test_the_image_that_is_late_first_is_next():
    made, _ = levels(0.05, 0.1, 0.2)
    waiting = [Waiting(0, 99.999), Waiting(1, 99.94), Waiting(2, 99.83)]
    assert made.choose(waiting, 100.0) == (2, [])
    assert made.choose(waiting[:2], 100.0) == (1, [])


def test_without_service_levels_the_most_overdue_by_its_own_period_is_next():
    made, _ = levels(0.0, 0.0)
    waiting = [Waiting(0, 90.0, due_s=99.0), Waiting(1, 99.9, due_s=98.0)]
    assert made.choose(waiting, 100.0) == (1, [])
    assert made.deepest(0, 0.0, waiting) == 'full'
    assert made.facts(0) == {}


def test_what_cannot_be_in_time_is_dropped_before_anything_is_computed():
    made, _ = levels(0.05, 0.05)
    assert made.choose([Waiting(0, 99.949), Waiting(1, 99.96)], 100.0) == (1, [0])
    assert made.choose([Waiting(0, 99.949)], 100.0) == (None, [0])
    assert made.facts(0)['too_late'] == '2'
    assert made.facts(1)['too_late'] == '0'


def test_a_schedule_may_keep_what_is_late():
    made, _ = levels(0.05)
    made.schedule = Schedule(drop_late=False)
    assert made.choose([Waiting(0, 90.0)], 100.0) == (0, [])


@pytest.mark.parametrize(
    ('slack_s', 'depth'), [(0.04, 'full'), (0.014, 'exit1'), (0.005, 'track'), (0.0016, 'track')]
)
def test_a_frame_goes_no_deeper_than_its_slack(slack_s, depth):
    made, clock = levels(0.05)
    assert made.deepest(0, clock.s + slack_s - 0.05) == depth


def test_a_frame_leaves_time_for_those_behind_it():
    made, clock = levels(0.2, 0.05)
    assert made.deepest(0, clock.s) == 'full'
    soon = Waiting(1, clock.s + 0.012 - 0.05)
    assert made.deepest(0, clock.s, [soon]) == 'exit1'
    lost = Waiting(1, clock.s + 0.001 - 0.05)
    assert made.deepest(0, clock.s, [lost]) == 'full', 'what is late anyway limits nobody'


def test_a_controllers_seconds_take_the_place_of_those_measured():
    made, clock = levels(0.05)
    made.schedule = Schedule(depth_s={'track': 0.001, 'exit1': 0.01, 'full': math.inf})
    assert made.deepest(0, clock.s) == 'exit1'
    made.schedule = Schedule(depth_s={})
    assert made.deepest(0, clock.s - 0.049) == 'full', 'depth is the exits own choice'


@pytest.mark.parametrize(
    ('margin', 'depth'), [(0, 'full'), (1, 'full'), (4, 'exit1'), (math.inf, 'track')]
)
def test_a_margin_on_the_measured_seconds(margin, depth):
    made, clock = levels(0.05)
    made.schedule = Schedule(margin=margin)
    assert made.deepest(0, clock.s) == depth


def test_depth_is_free_until_something_is_known():
    made, clock = levels(0.05, known=False)
    assert made.deepest(0, clock.s) == 'full'


def test_the_first_of_a_stream_may_be_late_so_that_the_others_are_not():
    made, clock = levels(0.01, follows=False)
    assert made.choose([Waiting(0, clock.s - 0.001)], clock.s) == (0, [])
    assert made.choose([Waiting(0, clock.s - 0.02)], clock.s) == (None, [0])


def test_a_camera_whose_answers_cannot_be_in_time_has_one_now_and_then():
    made, clock = levels(0.001)
    answered = dropped = 0
    for _ in range(100):  # ten seconds
        clock.s += 0.1
        stream, late = made.choose([Waiting(0, clock.s)], clock.s)
        dropped += len(late)
        if stream == 0:
            answered += 1
            made.deepest(0, clock.s)
            began_s, clock.s = clock.s, clock.s + TRACK_S
            assert made.answered(0, 'track', began_s, began_s), 'it is late'
    assert answered + dropped == 100
    assert 8 <= answered <= 10.0 / PATIENCE_S + 1
    assert 'nobody can answer within 1 ms here' in made.complaint(0)
    assert 'camera_slo_ms' in made.complaint(0)


def test_the_network_runs_now_and_then_although_there_is_no_time_for_it():
    made, clock = levels(0.01)
    depths = []
    for _ in range(30):
        clock.s += 0.1
        depths.append(made.deepest(0, clock.s))
        if depths[-1] == 'full':
            made.answered(0, 'full', clock.s - FULL_S, clock.s - FULL_S)
    assert depths.count('full') in (2, 3)
    assert set(depths) == {'full', 'exit1'}
    assert 'key frames are late' not in made.complaint(0), 'too few to tell'


def test_a_slow_answer_is_forgotten():
    made, clock = levels(0.05)
    made.answered(0, 'full', clock.s - 3.0, clock.s - 3.0)
    assert made.deepest(0, clock.s) == 'exit1'
    clock.s += 11
    for name, seconds in zip(EXITS, (TRACK_S, 0.006, FULL_S), strict=True):
        made.answered(0, name, clock.s - seconds, clock.s - seconds)
    assert made.deepest(0, clock.s) == 'full'


@pytest.mark.parametrize('slo_s', [-0.1, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(slo_s):
    with pytest.raises(ValueError, match='cannot be wanted'):
        ServiceLevels([0.1, slo_s])


def test_controllers_see_the_queues():
    made, clock = levels(0.05, 0.0)
    first, second = made.states(['front', 'rear'], [Waiting(0, clock.s - 0.02)], [0.1, 0.0])
    assert (first.name, first.waiting, first.deadline_s, first.period_s) == (
        *('front', 1, 0.05, 0.1),
    )
    assert first.slack_s == pytest.approx(0.03)
    assert (second.waiting, second.slack_s) == (0, math.inf)
    assert math.isnan(second.period_s)


def drive(slo_s, periods_s, seconds=60.0, limited=True, jitter=0.3, stops=None, wanted=0.4):
    """Cameras on one thread: shares of each one's images that were answered in time.

    A frame wants the network with the probability ``wanted`` and takes what it takes here.
    """
    clock, rng = SimpleNamespace(s=0.0), random.Random(1)
    made = ServiceLevels(slo_s, lambda: clock.s)
    if not limited:
        made.schedule = Schedule(drop_late=True, depth_s={})
    counts = [{'sent': 0, 'in_time': 0, 'late': 0, 'dropped': 0} for _ in slo_s]
    begun = [False] * len(slo_s)
    for place in range(len(slo_s)):
        made.attach(place, Followed(lambda: ('track', 'full'), lambda p=place: begun[p]))

    def count(item, what):
        counts[item[0]][what] += 1

    slots = NewestSlots(len(slo_s), lambda: clock.s, made, lambda item: count(item, 'dropped'))
    events = [(0.001 * place, place) for place in range(len(slo_s))]
    heapq.heapify(events)
    free_s = 0.0
    while events:
        at_s, place = events[0]
        if free_s <= at_s and slots.waiting:
            clock.s = free_s
            taken = slots.poll()
            if taken is None:
                continue
            depth = made.deepest(taken[0], taken[1], slots.look())
            wants = rng.random() < wanted or not begun[taken[0]]
            exit_name = 'full' if wants and (depth == 'full' or not begun[taken[0]]) else 'track'
            begun[taken[0]] = True
            began_s = clock.s
            clock.s = free_s = began_s + (FULL_S if exit_name == 'full' else TRACK_S)
            late = made.answered(taken[0], exit_name, taken[1], began_s)
            count(taken, 'late' if late else 'in_time')
            continue
        heapq.heappop(events)
        clock.s = at_s
        free_s = max(free_s, at_s) if not slots.waiting else free_s
        counts[place]['sent'] += 1
        replaced = slots.put((place, at_s), place)
        if replaced is not None:
            made.replaced(place)
            count(replaced, 'dropped')
        next_s = at_s + periods_s[place] * (1 + jitter * rng.uniform(-1, 1))
        if next_s < (stops or {}).get(place, seconds):
            heapq.heappush(events, (next_s, place))
    return [each['in_time'] / each['sent'] for each in counts], counts


def test_at_full_load_few_are_late_and_none_starves():
    shares, counts = drive([0.05, 0.1, 0.2, 0.2], [1 / 40] * 4)
    assert min(shares) > 0.95
    for each in counts:
        assert 0 <= each['sent'] - each['in_time'] - each['late'] - each['dropped'] < 9


@pytest.mark.parametrize('slo_s', [[0.03, 0.03], [0.03, 0.3], [0.05, 0.1, 0.2, 0.2]])
@pytest.mark.parametrize('load', [1.5, 3.0])
def test_where_every_frame_is_computed_in_full_the_shares_stay_near_each_other(slo_s, load):
    period_s = FULL_S * len(slo_s) / load
    shares, _ = drive(slo_s, [period_s] * len(slo_s), limited=False, wanted=1.0)
    assert min(shares) > 0.5 / load
    assert max(shares) / min(shares) <= 2


def test_a_camera_that_stops_leaves_its_turns_to_the_others():
    shares, counts = drive([0.05, 0.05], [1 / 60] * 2, stops={1: 10.0}, limited=False, wanted=1.0)
    assert counts[1]['sent'] < counts[0]['sent'] / 4
    assert shares[0] > shares[1]


def test_a_camera_without_a_level_beside_one_that_has_one_gets_answers_too():
    _, counts = drive([0.05, 0.0], [1 / 60] * 2, limited=False, wanted=1.0)
    assert counts[1]['in_time'] > 0.1 * counts[1]['sent']
    assert counts[0]['in_time'] > 0.3 * counts[0]['sent']
