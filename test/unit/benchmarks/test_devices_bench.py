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

import subprocess
import time

from e4_ros.benchmarks.devices import burning, in_turn


def test_things_in_turn_are_timed_apart():
    runs = {'short': lambda: time.sleep(0.001), 'long': lambda: time.sleep(0.03)}
    found = in_turn(runs, 8)
    assert found['short']['ms'] >= 1
    assert found['long']['ms'] > found['short']['ms']
    assert found['long']['p95_ms'] >= found['long']['ms']
    assert found['long']['cpu_ms'] < 15  # asleep


def test_every_round_takes_another_order():
    order: list[str] = []
    in_turn({name: lambda name=name: order.append(name) for name in 'ab'}, 2)
    assert order[-4:] == ['a', 'b', 'b', 'a']


def test_the_load_ends_with_the_block(monkeypatch):
    started: list[subprocess.Popen] = []
    popen = subprocess.Popen

    def start(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr('e4_ros.benchmarks.devices.subprocess.Popen', start)
    with burning(2):
        assert [process.poll() for process in started] == [None, None]
    assert all(process.poll() is not None for process in started)
