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

"""Suspend and resume, as the daemon sees them."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.daemon import sleep_guard
from e4_ros.energy.daemon.daemon import Daemon
from e4_ros.energy.daemon.sleep_guard import SleepGuard, slept_s
from e4_ros.energy.domains.discovery import discover
from e4_ros.paths import config_dir


def until(condition, timeout_s: float = 60.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def clocks(root) -> dict[str, dict[str, str]]:
    return {domain.name: domain.snapshot() for domain in discover(root)}


@pytest.fixture
def holder(daemon, config, sweep):
    with DvfsClient(config.socket_path) as client:
        client.acquire('robot')
        client.set_plan(sweep(client.frequencies_hz))
        assert client.step(0, 1)
        assert until(lambda: client.counters().applied == 1)
        yield client


def hook(config, moment: str) -> float:
    """Call the system's hook as systemd does; return how long it took."""
    script = config_dir() / 'systemd' / 'e4-sleep'
    began = time.monotonic()
    subprocess.run(
        [script, moment, 'suspend'],
        env={**os.environ, 'E4_STATE_DIR': str(config.state_dir)},
        check=True,
    )
    return time.monotonic() - began


def test_clocks_are_as_before_while_the_machine_sleeps(
    daemon, config, holder, board_root, short_dir
):
    (config.state_dir / 'helper.sock').symlink_to(config.socket_path)  # where the unit has it
    held = clocks(board_root)
    hook(config, 'pre')
    asleep = clocks(board_root)
    assert asleep != held
    assert not (config.state_dir / 'sleep').exists()
    received = holder.counters().received
    for segment in (2, 3):  # a client that runs until the kernel stops it
        assert holder.step(0, segment)
    assert until(lambda: holder.counters().received == received + 2)
    assert clocks(board_root) == asleep
    hook(config, 'post')

    def stepped() -> bool:
        holder.step(0, 1)
        return clocks(board_root) == held

    assert until(stepped)


def test_plan_that_is_set_before_the_machine_sleeps_waits(
    daemon, config, holder, sweep, board_root
):
    daemon.core.pause()
    before = clocks(board_root)
    holder.set_plan(sweep({'gpu': daemon.core.frequencies_hz['gpu']}))
    assert clocks(board_root) == before
    daemon.core.resume()
    assert holder.step(0, 1)
    assert until(lambda: clocks(board_root) != before)


def test_hook_does_not_wait_where_no_daemon_is(config):
    config.state_dir.mkdir()
    assert hook(config, 'pre') < 1.0
    hook(config, 'post')
    assert list(config.state_dir.iterdir()) == []


def test_clocks_are_pinned_anew_after_sleep_without_a_hook(config, sweep, board_root, monkeypatch):
    asleep = [0.0]
    monkeypatch.setattr(
        'e4_ros.energy.daemon.daemon.SleepGuard',
        lambda core, folder: SleepGuard(core, folder, lambda: asleep[0]),
    )
    with Daemon(config) as daemon, DvfsClient(config.socket_path) as client:
        client.acquire('robot')
        client.set_plan(sweep(client.frequencies_hz))
        assert client.step(0, 1)
        assert until(lambda: client.counters().applied == 1)
        held = clocks(board_root)
        (lease,) = daemon.server.leases
        asleep[0] = 3600.0
        assert until(lambda: not lease.awake)
        assert clocks(board_root) != held
        assert client.step(0, 1)
        assert until(lambda: clocks(board_root) == held)


def test_time_asleep_is_the_kernels():
    first, second = slept_s(), slept_s()
    assert first >= -sleep_guard._SLEPT_S
    assert abs(second - first) < sleep_guard._SLEPT_S
