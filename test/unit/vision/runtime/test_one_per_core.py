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

"""Copies on cores: results in order, few items ahead, failures reach who waits."""

from __future__ import annotations

import itertools
import threading

import pytest

from e4_ros.vision.runtime.one_per_core import OnePerCore, cores


class Counter:
    """Notices when two threads use it at the same time."""

    def __init__(self):
        self._alone = threading.Lock()

    def double(self, number):
        assert self._alone.acquire(blocking=False), 'two threads in one copy'
        try:
            return 2 * number
        finally:
            self._alone.release()


def test_results_come_in_the_order_of_the_items():
    copies = OnePerCore(Counter, 3)
    assert list(copies.map(Counter.double, range(200))) == list(range(0, 400, 2))


def test_there_is_a_copy_for_each_core():
    assert len(OnePerCore(Counter).copies) == cores() >= 1


def test_copies_work_at_the_same_time():
    both = threading.Barrier(2, timeout=5)
    copies = OnePerCore(object, 2)
    assert sorted(copies.map(lambda _, __: both.wait(), range(2))) == [0, 1]


def test_an_endless_stream_is_read_only_as_far_as_needed():
    read = []
    items = (read.append(number) or number for number in itertools.count())
    results = OnePerCore(Counter, 2).map(Counter.double, items)
    assert next(results) == 0
    assert len(read) == 5
    results.close()


def test_what_fails_says_so_and_the_rest_is_not_begun():
    begun = []

    def fail(_, number):
        begun.append(number)
        raise ValueError(f'item {number}')

    with pytest.raises(ValueError, match='item 0'):
        list(OnePerCore(Counter, 1).map(fail, range(100)))
    assert len(begun) < 10
