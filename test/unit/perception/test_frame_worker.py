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
import time

from e4_ros.perception.frame_worker import FrameWorker
from e4_ros.perception.newest_slots import NewestSlots


class Bench:
    """A worker whose work waits for `go`, and what became of each item."""

    def __init__(self, fail_on=(), streams=1):
        self.begun, self.go = threading.Event(), threading.Event()
        self.done, self.dropped, self.failed = [], [], []
        self._fail_on = fail_on
        self.worker = FrameWorker(self._work, self.dropped.append, self.failed.append, streams)

    def _work(self, item):
        self.begun.set()
        assert self.go.wait(5)
        if item in self._fail_on:
            raise RuntimeError(f'no {item}')
        self.done.append(item)


def test_every_item_is_done_or_dropped():
    bench = Bench()
    bench.worker.submit(0)
    assert bench.begun.wait(5)
    for item in range(1, 5):
        bench.worker.submit(item)
    assert bench.dropped == [1, 2, 3]
    threading.Timer(0.05, bench.go.set).start()
    assert bench.worker.stop()  # 0 is in hand and finishes, 4 waits and is dropped
    assert bench.done == [0]
    assert bench.dropped == [1, 2, 3, 4]
    bench.worker.submit(5)
    assert bench.dropped[-1] == 5


def test_items_of_one_stream_replace_none_of_another():
    bench = Bench(streams=2)
    bench.worker.submit('first', 0)
    assert bench.begun.wait(5)
    for item in ('a', 'b', 'c'):
        bench.worker.submit(item, 0)
    bench.worker.submit('d', 1)
    assert bench.worker.waiting == 2
    bench.go.set()
    while len(bench.done) < 3:
        bench.begun.wait(0.001)
    assert bench.worker.stop()
    assert bench.done == ['first', 'd', 'c'], 'the stream that had no turn yet is next'
    assert bench.dropped == ['a', 'b']


def test_work_that_fails_does_not_end_the_worker():
    bench = Bench(fail_on=(0,))
    bench.go.set()
    finished = threading.Event()
    bench.worker.submit(0)
    while not bench.failed:
        finished.wait(0.001)
    bench.worker.submit(1)
    while not bench.done:
        finished.wait(0.001)
    assert [str(error) for error in bench.failed] == ['no 0']
    assert bench.done == [1]
    assert bench.worker.stop()


def test_stop_says_when_the_work_does_not_end():
    bench = Bench()
    bench.worker.submit(0)
    assert bench.begun.wait(5)
    assert not bench.worker.stop(timeout_s=0.01)
    bench.go.set()


def paired(pair_within_s):
    done, began = [], threading.Event()

    def work(item):
        done.append((item, time.monotonic()))
        if len(done) % 2 == 0:
            began.set()

    failed: list[Exception] = []
    return done, began, FrameWorker(work, [].append, failed.append, pair_within_s=pair_within_s)


def test_an_item_waits_for_the_next_and_both_are_done_back_to_back():
    done, both, worker = paired(pair_within_s=60.0)
    worker.submit('a')
    time.sleep(0.1)
    assert not done, 'it waits for another'
    worker.submit('b')
    assert both.wait(60)
    assert worker.stop()
    assert [item for item, _ in done] == ['a', 'b'], 'the second replaces none that waits for it'


def test_an_item_waits_no_longer_than_it_may():
    done, _, worker = paired(pair_within_s=0.05)
    began = time.monotonic()
    worker.submit('alone')
    while not done:
        assert time.monotonic() < began + 60
        time.sleep(0.001)
    assert worker.stop()
    assert done[0][1] - began >= 0.045


def test_the_wait_counts_from_the_arrival_not_from_the_turn():
    """What came while the worker was busy has waited already."""
    now = [0.0]
    slots = NewestSlots(now=lambda: now[0])
    slots.put('late')
    now[0] = 5.0
    assert slots.take_pair(within_s=1.0) == ['late'], 'without any wait: its time is over'


def test_an_item_that_waits_for_another_is_done_when_the_worker_ends():
    done, _, worker = paired(pair_within_s=60.0)
    worker.submit('held')
    time.sleep(0.05)
    assert worker.stop()
    assert [item for item, _ in done] == ['held']
