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

"""What systemd and clients learn of a daemon that works, stops or hangs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient
from e4_ros.energy.daemon.daemon import Daemon
from e4_ros.energy.daemon.hold_point import HeldPoint
from e4_ros.energy.daemon.service_manager import ServiceManager


def until(condition, timeout_s: float = 60.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture(params=['path', 'abstract'])
def systemd(request, short_dir, monkeypatch):
    """A socket as systemd has it; `heard` returns the messages so far."""
    name = f'@e4-{os.getpid()}' if request.param == 'abstract' else str(short_dir / 'notify')
    monkeypatch.setenv('NOTIFY_SOCKET', name)
    monkeypatch.setenv('WATCHDOG_USEC', '2000000')
    monkeypatch.setattr('e4_ros.energy.daemon.monitor._IDLE_PERIOD_S', 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(name.replace('@', '\0'))
        notify.setblocking(False)

        def heard() -> list[str]:
            messages = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    messages.append(notify.recv(4096).decode())
            return messages

        yield heard


def test_service_is_ready_alive_and_then_silent(systemd, config):
    with Daemon(config):
        heard = []
        assert until(lambda: heard.extend(systemd()) or heard.count('WATCHDOG=1') >= 2)
        assert 'READY=1\nWATCHDOG_USEC=2000000' in heard
    assert systemd()[-1] == 'WATCHDOG_USEC=0'


def test_service_that_hangs_in_a_driver_says_nothing(systemd, daemon):
    """The thread that applies steps holds the lock, as in a write that never returns."""
    with daemon.core._lock:
        time.sleep(0.2)  # a look that began before may still end
        systemd()
        time.sleep(0.3)
        assert systemd() == []
    assert until(lambda: 'WATCHDOG=1' in systemd())


def test_without_systemd_nothing_is_said(monkeypatch):
    monkeypatch.delenv('NOTIFY_SOCKET', raising=False)
    manager = ServiceManager()
    for say in (manager.ready, manager.alive, manager.stopped):
        say()


def test_systemd_that_does_not_listen_delays_nothing(monkeypatch, short_dir):
    monkeypatch.setenv('NOTIFY_SOCKET', str(short_dir / 'nobody'))
    ServiceManager().alive()


def listens(path) -> bool:
    with contextlib.suppress(DaemonError):
        return bool(DvfsClient(path).status())
    return False


@pytest.fixture
def process(config):
    """`e4 dvfs serve` in a process of its own."""
    places = ['--sysfs-root', config.root, '--state-dir', config.state_dir]
    command = [sys.executable, '-m', 'e4_ros.cli', 'dvfs', 'serve', *places]
    command += ['--socket-path', config.socket_path]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL) as served:
        try:
            assert until(lambda: listens(config.socket_path))
            yield served
        finally:
            served.send_signal(signal.SIGCONT)
            served.terminate()


def test_client_notices_a_daemon_that_hangs_and_that_goes_on(process, config, sweep):
    with DvfsClient(config.socket_path) as client:
        client.acquire('robot')
        client.set_plan(sweep(client.frequencies_hz))
        held = HeldPoint(client)
        assert not client.hangs
        process.send_signal(signal.SIGSTOP)
        assert until(lambda: client.hangs)
        assert client.state is ClientState.HELD
        assert held.lost_because.startswith('the daemon hangs')
        process.send_signal(signal.SIGCONT)
        assert until(lambda: not client.hangs)
        assert held.lost_because == ''
        held.end()
    assert not client.hangs
