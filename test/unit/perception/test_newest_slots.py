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

"""Cameras in turns: who is next, and what each gets of a thread that is too slow for all."""

from __future__ import annotations

import heapq
import random
import threading

import pytest

from e4_ros.perception.newest_slots import NewestSlots


def test_a_slot_keeps_the_newest_and_hands_back_what_it_replaces():
    slots = NewestSlots()
    assert slots.put(1) is None
    assert slots.put(2) == 1
    assert slots.take() == 2
    assert slots.put(3) is None


def test_closed_slots_take_nothing_and_wake_who_waits():
    slots = NewestSlots()
    taken = []
    waiting = threading.Thread(target=lambda: taken.append(slots.take()))
    waiting.start()
    assert slots.close() == []
    waiting.join(5)
    assert taken == [None]
    assert slots.put(1) == 1


def test_closing_returns_the_items_nobody_took():
    slots = NewestSlots(3)
    slots.put('a', 0)
    slots.put('b', 2)
    assert slots.waiting == 2
    assert slots.close() == ['a', 'b']
    assert slots.waiting == 0
    assert slots.take() is None


def test_streams_replace_only_their_own():
    slots = NewestSlots(2)
    assert slots.put('a', 0) is None
    assert slots.put('b', 1) is None
    assert slots.put('c', 0) == 'a'
    assert [slots.take(), slots.take()] == ['c', 'b']


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def shares(periods_s, service_s, offsets_s, jitter=0.0, seconds=200.0, until_s=None):
    """How many images of each camera a thread takes that needs ``service_s`` for each."""
    clock, rng = Clock(), random.Random(0)
    slots = NewestSlots(len(periods_s), clock)
    events = [(offset, stream, 0) for stream, offset in enumerate(offsets_s)]
    heapq.heapify(events)
    taken, free_s = [0] * len(periods_s), 0.0
    while events:
        at_s, stream, index = events[0]
        if free_s < at_s and slots.waiting:
            clock.now_s = free_s
            taken[slots.take()] += 1
            free_s += service_s
            continue
        heapq.heappop(events)
        clock.now_s = at_s
        slots.put(stream, stream)
        free_s = max(free_s, at_s) if slots.waiting == 1 else free_s
        period_s = periods_s[stream]
        ideal_s = offsets_s[stream] + (index + 1) * period_s
        if ideal_s < (until_s or {}).get(stream, seconds):
            late_s = jitter * rng.uniform(-period_s, period_s)
            heapq.heappush(events, (ideal_s + late_s, stream, index + 1))
    return taken


@pytest.mark.parametrize('offset', [0.0, 0.03, 0.5, 0.97])
@pytest.mark.parametrize('jitter', [0.0, 0.1])
@pytest.mark.parametrize('service', [0.55, 0.7, 1.0, 1.3, 2.0, 3.0])
def test_cameras_of_one_rate_have_one_share_of_a_thread_that_is_too_slow(offset, jitter, service):
    taken = shares([0.1, 0.1], 0.1 * service, [0.0, 0.1 * offset], jitter)
    assert min(taken) > 200
    assert max(taken) / min(taken) <= 1.1


def test_three_cameras_have_a_third_each():
    taken = shares([0.1, 0.1, 0.1], 0.09, [0.0, 0.01, 0.02])
    assert max(taken) / min(taken) <= 1.1


def test_where_there_is_time_for_all_none_is_lost():
    taken = shares([0.1, 0.25], 0.04, [0.0, 0.001], seconds=100.0)
    assert taken == pytest.approx([1000, 400], abs=1)  # the last one may wait yet


def test_a_slow_camera_is_not_starved_by_a_fast_one_and_misses_fewer_of_its_images():
    fast, slow = shares([1 / 30, 1 / 5], 0.05, [0.0, 0.01])
    assert slow > 0.6 * 200 * 5
    assert fast > 0.35 * 200 * 30
    assert slow / (200 * 5) > fast / (200 * 30)


def test_a_camera_that_falls_silent_leaves_the_thread_to_the_others_and_saves_up_no_turns():
    taken = shares([0.1, 0.1], 0.15, [0.0, 0.05], until_s={1: 100.0})
    in_half = 100.0 / 0.15
    assert taken == pytest.approx([1.5 * in_half, 0.5 * in_half], rel=0.02)
    clock = Clock()
    slots = NewestSlots(2, clock)
    for index in range(20):  # only the first sends
        clock.now_s = index * 0.1
        slots.put('a', 0)
        slots.take()
    order = []
    for index in range(20, 26):  # then both, always
        clock.now_s = index * 0.1
        slots.put('a', 0)
        slots.put('b', 1)
        order.append(slots.take())
    assert order == ['b', 'a'] * 3
