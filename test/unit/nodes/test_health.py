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

"""Counts of images: each change and what it is told with belong together, from any thread."""

from __future__ import annotations

import sys
import threading

import pytest

pytest.importorskip('rclpy')

from e4_ros.nodes import health as health_module
from e4_ros.nodes.health import Health


def test_every_answer_has_a_number_of_its_own():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads change places between any two steps
    try:
        health, numbers = Health(), []

        def work():
            for _ in range(2000):
                numbers.append(health.processed('full').processed)
                health.dropped('bad_image')

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert sorted(numbers) == list(range(1, 8001))
    assert health.counts().received == 16000


def test_diagnostics_say_what_was_counted():
    health = Health()
    health.processed('temporal')
    health.processed('full')
    health.dropped('newer_image')
    health.lost(3)
    status = health.status()
    values = {pair.key: pair.value for pair in status.values}
    assert values['frames_received'] == '3'
    assert values['exit_share.full'] == '0.500'
    assert values['dropped.newer_image'] == '1'
    assert values['lost_before_receipt'] == '3'


def test_what_was_lost_on_the_way_is_forgotten_after_a_while(monkeypatch):
    now_s = 100.0
    monkeypatch.setattr(health_module.time, 'monotonic', lambda: now_s)
    health = Health()
    for _ in range(4):
        health.arrived()
    health.lost(3)
    assert health.lately() == (3, 4)
    now_s += health_module.RECENT_S + 0.1
    health.arrived()
    assert health.lately() == (0, 1)
    values = {pair.key: pair.value for pair in health.status().values}
    assert (values['lost_before_receipt'], values['lost_lately']) == ('3', '0')


def test_the_newest_error_is_on_top_with_the_others_below():
    health = Health()
    for size in (100, 200, 300):
        health.failed(f'truncated: {size} bytes')
    health.failed('unknown encoding')
    status = health.status('something else')
    values = {pair.key: pair.value for pair in status.values}
    assert status.message == 'unknown encoding'
    assert values['error.0'] == '1× unknown encoding'
    assert values['error.1'] == '3× truncated: 300 bytes'


def test_an_error_is_told_once_in_a_while_and_does_not_hide_another(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(health_module.time, 'monotonic', lambda: now[0])
    health = Health()
    assert health.failed('truncated: 100 bytes')
    assert not health.failed('truncated: 200 bytes')
    assert health.failed('unknown encoding')
    now[0] += 4.9
    assert not health.failed('truncated: 300 bytes')
    now[0] += 0.2
    assert health.failed('truncated: 400 bytes')
    now[0] += 10.1
    assert health.status().message == '0 of 0 images processed'


def test_an_image_that_was_not_needed_is_counted_but_was_not_wanted():
    health = Health()
    health.processed('full')
    health.dropped('newer_image')
    health.dropped('not_needed')
    assert (health.counts().received, health.wanted()) == (3, 2)
