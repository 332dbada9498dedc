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
from concurrent.futures import CancelledError

import pytest
import torch

from e4_ros.vision.training.side_by_side import seeded, side_by_side


def quiet(phase, done, total):
    """Hear nothing."""


def test_results_come_in_the_order_of_the_tasks_and_all_that_they_say_is_heard():
    heard = []

    def task(name):
        def run(told):
            told(name, 1, 1)
            return name

        return run

    assert side_by_side(lambda *step: heard.append(step), task('a'), task('b')) == ['a', 'b']
    assert sorted(heard) == [('a', 1, 1), ('b', 1, 1)]


def test_tasks_run_at_the_same_time_with_one_thread_for_each_operation():
    both = threading.Barrier(2, timeout=5)
    before = torch.get_num_threads()

    def task(told):
        both.wait()
        return torch.get_num_threads()

    assert side_by_side(quiet, task, task) == [1, 1]
    assert torch.get_num_threads() == before


def test_where_one_task_fails_the_other_ends_at_its_next_step():
    failed, ended = threading.Event(), []

    def endless(told):
        try:
            while True:
                failed.wait(5)
                told('endless', 0, 1)
        except CancelledError:
            ended.append(True)
            raise

    def failing(told):
        failed.set()
        raise ValueError('no boxes')

    with pytest.raises(ValueError, match='no boxes'):
        side_by_side(quiet, endless, failing)
    assert ended == [True]


def test_seeds_do_not_mix():
    def draw(told):
        return [seeded(3, lambda: torch.rand(1000)) for _ in range(50)]

    first, second = side_by_side(quiet, draw, draw)
    assert all(torch.equal(first[0], drawn) for drawn in [*first, *second])
