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

"""A daemon that nobody needs leaves the processor alone."""

from __future__ import annotations

import time
from pathlib import Path

from e4_ros.benchmarks.boards.idle import idle_daemon, process_at, sleeps
from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.daemon.activity import Activity
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig

SECONDS = 3.0


def test_a_daemon_without_a_client_sleeps_and_one_with_a_lease_looks_at_its_rails() -> None:
    with idle_daemon() as path:
        process, until = process_at(path), time.monotonic() + 60
        # On a busy machine threads also wait for memory and for each other: that ends, a timer not.
        while sleeps(process, SECONDS) > 3 * SECONDS:
            assert time.monotonic() < until
        with DvfsClient(path) as client:
            client.acquire('a client')
            while sleeps(process, SECONDS) < 6 * SECONDS:
                assert time.monotonic() < until


def test_joules_are_fresh_as_soon_as_a_lease_is_held(daemon: Daemon, config: DaemonConfig) -> None:
    with DvfsClient(config.socket_path) as client:
        client.acquire('a client')
        first, until = client.applied().energy_j, time.monotonic() + 10
        moved: set[float] = set()
        while len(moved) < 10 and time.monotonic() < until:
            moved.add(client.applied().energy_j)
            time.sleep(0.005)
    assert len(moved) == 10
    assert min(moved) >= first


def test_joules_are_nobody_s_while_the_rail_is_silent(
    board_root: Path, config: DaemonConfig
) -> None:
    folder = board_root / 'sys/bus/i2c/devices/1-0040/hwmon/hwmon3'
    folder.mkdir(parents=True)
    texts = {'name': 'ina3221', 'in1_label': 'VDD_IN', 'in1_input': '5000', 'curr1_input': '1000'}
    for name, text in texts.items():
        (folder / name).write_text(text)
    with Daemon(config), DvfsClient(config.socket_path) as client:
        client.acquire('a client')
        for text, source in (('1000', 'measured'), ('garbage', 'none'), ('900', 'measured')):
            (folder / 'curr1_input').write_text(text)
            until = time.monotonic() + 20
            while client.applied().source != source:
                assert time.monotonic() < until
                time.sleep(0.01)


def test_a_wait_ends_when_somebody_begins_and_is_short_until_all_have_ended() -> None:
    activity = Activity()
    activity.begin('one')
    activity.begin('another')
    activity.end('one')
    start = time.monotonic()
    assert activity.wait(busy_s=0.01, idle_s=60)
    activity.end('another')
    assert not activity.is_busy
    activity.stop()
    assert not activity.wait(busy_s=60, idle_s=60)
    assert time.monotonic() - start < 30
