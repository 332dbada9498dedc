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

import threading

from e4_ros.offload.server.waiting import EarliestFirst


def one(_key: str) -> int:
    return 1


def test_the_earliest_deadline_is_first_whenever_it_came():
    waiting = EarliestFirst(9, lambda: 0.0)
    for item, deadline_s in (('c', 3.0), ('a', 1.0), ('b', 2.0), ('b2', 2.0)):
        assert waiting.put(item, 'k', deadline_s)
    assert [waiting.take(one)[0] for _ in range(4)] == [['a'], ['b'], ['b2'], ['c']]


def test_what_is_over_is_never_done():
    now = [0.0]
    waiting = EarliestFirst(9, lambda: now[0])
    for item, deadline_s in (('a', 1.0), ('b', 2.0), ('c', 3.0)):
        waiting.put(item, 'k', deadline_s)
    now[0] = 2.5
    assert waiting.take(one) == (['c'], ['a', 'b'])
    waiting.put('d', 'k', 1.0)
    assert waiting.take(one) == ([], ['d'])


def test_requests_of_one_key_are_taken_together():
    waiting = EarliestFirst(9, lambda: 0.0)
    for index, key in enumerate('xyxxy'):
        waiting.put(index, key, float(index + 1))
    sizes = {'x': 2, 'y': 5}
    assert waiting.take(sizes.__getitem__)[0] == [0, 2]
    assert waiting.take(sizes.__getitem__)[0] == [1, 4]
    assert waiting.take(sizes.__getitem__)[0] == [3]


def test_no_more_wait_than_may():
    waiting = EarliestFirst(2, lambda: 0.0)
    assert [waiting.put(index, 'k', 1.0) for index in range(3)] == [True, True, False]


def test_who_waits_is_let_go_when_it_closes():
    waiting = EarliestFirst(2, lambda: 0.0)
    got = []
    thread = threading.Thread(target=lambda: got.append(waiting.take(one)))
    thread.start()
    assert waiting.close() == []
    thread.join(30)
    assert got == [None]
    assert not waiting.put('a', 'k', 1.0)
