"""A daemon that nobody needs leaves the processor alone."""

from __future__ import annotations

import time

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
