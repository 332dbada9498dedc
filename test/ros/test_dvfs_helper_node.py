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

"""The DVFS daemon's node as a process of its own, asked over DDS and its socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient
from e4_ros.energy.virtual.board import write_tree

pytestmark = pytest.mark.ros

rclpy = pytest.importorskip('rclpy')
srv = pytest.importorskip('e4_ros.srv', reason='the package is not built: make build')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from e4_ros.msg import DvfsState, EnergyTelemetry  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402

BOARD = 'jetson_orin_nano'


class Asker(Node):
    """Calls the daemon's services and keeps the last message of each topic."""

    def __init__(self) -> None:
        super().__init__('asker')
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.state: DvfsState | None = None
        self.energy: EnergyTelemetry | None = None
        self.create_subscription(
            DvfsState, 'dvfs_helper/state', lambda m: setattr(self, 'state', m), latched
        )
        self.create_subscription(
            EnergyTelemetry, 'dvfs_helper/energy', lambda m: setattr(self, 'energy', m), 10
        )
        self._acquire = self.create_client(srv.AcquireLease, 'dvfs_helper/acquire')

    def acquire(self, client: str):
        """Ask for the lease in the name of ``client``."""
        assert self._acquire.wait_for_service(60)
        future = self._acquire.call_async(srv.AcquireLease.Request(client=client))
        rclpy.spin_until_future_complete(self, future, timeout_sec=60)
        return future.result()

    def until(self, condition, timeout_s: float = 60.0) -> bool:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            rclpy.spin_once(self, timeout_sec=0.05)
        return True


@pytest.fixture
def domain_id(monkeypatch, ros_env):
    for name, text in ros_env.items():
        monkeypatch.setenv(name, text)


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix='e4') as name:
        yield Path(name)


@pytest.fixture
def start(folder, domain_id, spawn):
    def begin(**parameters) -> subprocess.Popen:
        given = {'state_dir': folder / 'state', 'socket_path': folder / 'h.sock'}
        # On a slow machine the clocks would rest before anybody has looked at them.
        given |= {'watchdog_s': 60.0, **parameters}
        words = [w for name, text in given.items() for w in ('-p', f'{name}:={text}')]
        command = [sys.executable, '-m', 'e4_ros.nodes.dvfs_helper', '--ros-args', *words]
        return spawn(command)

    return begin


@pytest.fixture
def asker(domain_id):
    rclpy.init()
    node = Asker()
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def root(folder):
    return write_tree(BOARD, folder / 'root')


def snapshot(root: Path) -> dict[str, str]:
    return {
        str(path): path.read_text()
        for path in root.rglob('*')
        if path.is_file() and not path.is_symlink()
    }


def plan_for(client: DvfsClient, make_plan):
    return make_plan(client.frequencies_hz, BOARD)


@pytest.fixture
def make_plan():
    from e4_ros.energy.plan import FrequencyPlan, PlanPath

    def make(tables, board, points=3):
        return FrequencyPlan(
            name='climb',
            board=board,
            model='any',
            segments=[f's{i}' for i in range(points)],
            devices=['cpu'] * points,
            paths={
                'full': PlanPath(
                    segments=list(range(points)),
                    points=[{n: t[i % len(t)] for n, t in tables.items()} for i in range(points)],
                    expected_latency_s=0.01,
                    expected_energy_j=0.01,
                )
            },
            source='modelled',
        )

    return make


def begin_lease(asker, make_plan) -> DvfsClient:
    answer = asker.acquire('robot')
    assert answer.success, answer.message
    client = DvfsClient(answer.socket_path)
    client.acquire('robot')
    plan = plan_for(client, make_plan)
    client.set_plan(plan)
    assert client.step(0, 1)
    assert asker.until(lambda: client.applied().point == plan.point('full', 1))
    return client


def test_a_lease_over_ros(start, asker, root, make_plan):
    before = snapshot(root)
    start(sysfs_root=root)
    assert asker.until(lambda: asker.state is not None)
    assert asker.state.board == BOARD
    assert asker.state.simulated
    client = begin_lease(asker, make_plan)
    assert asker.until(lambda: asker.state.leases and asker.state.steps_applied == 1)
    (lease,) = asker.state.leases
    assert (lease.client, lease.pid, lease.plan) == ('robot', os.getpid(), 'climb')
    assert (lease.exclusive, lease.awake, lease.steps_received) == (False, True, 1)
    shown = {domain.name: domain.frequency_hz for domain in asker.state.domains}
    assert shown == client.applied().point

    assert asker.until(lambda: asker.energy is not None and asker.energy.total_energy_j > 0)
    assert asker.energy.source == 'modelled'
    assert len(asker.energy.rails) == len(asker.energy.power_w) == len(asker.energy.energy_j)

    second = asker.acquire('second')
    assert second.success
    assert [lease.client for lease in second.leases] == ['robot']
    client.release()
    with DvfsClient(second.socket_path) as alone:
        alone.acquire('e4 profile', exclusive=True)
        refused = asker.acquire('second')
        assert not refused.success
        assert 'e4 profile' in refused.message
        assert 'needs the clocks alone' in refused.message
        assert refused.leases[0].exclusive
    assert snapshot(root) == before
    assert not client.step(0, 2)
    assert client.state is ClientState.CLOSED


def test_simulated_board_needs_nothing_else(start, asker, folder):
    start(board='jetson_nano')
    assert asker.until(lambda: asker.state is not None)
    assert asker.state.board == 'jetson_nano'
    with DvfsClient(folder / 'h.sock') as client:
        client.acquire('test')
        assert client.domains


def test_it_goes_on_telling_where_time_comes_from_clock_and_nobody_publishes_it(start, asker):
    start(board=BOARD, use_sim_time='true')
    for _ in range(3):  # the first message is published at activation, the others by a timer
        asker.energy = None
        assert asker.until(lambda: asker.energy is not None), 'no joules any more'


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_signal_gives_everything_back(start, asker, root, make_plan, number):
    before = snapshot(root)
    process = start(sysfs_root=root)
    client = begin_lease(asker, make_plan)
    assert snapshot(root) != before
    process.send_signal(number)
    assert process.wait(60) == 0
    assert snapshot(root) == before
    assert not client.step(0, 2)


def test_next_start_brings_back_what_a_killed_helper_left(start, asker, root, make_plan):
    before = snapshot(root)
    process = start(sysfs_root=root)
    client = begin_lease(asker, make_plan)
    process.kill()
    process.wait()
    assert not client.step(0, 2)
    assert snapshot(root) != before
    asker.state = None
    start(sysfs_root=root)
    assert asker.until(lambda: snapshot(root) == before)


def test_lifecycle_by_hand(start, asker, root, make_plan):
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState

    before = snapshot(root)
    start(sysfs_root=root, autostart='false')
    changes = asker.create_client(ChangeState, 'dvfs_helper/change_state')
    assert changes.wait_for_service(60)

    def change(number: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=number))
        future = changes.call_async(request)
        rclpy.spin_until_future_complete(asker, future, timeout_sec=60)
        return future.result().success

    assert 'not active' in asker.acquire('early').message
    assert change(Transition.TRANSITION_CONFIGURE)
    assert change(Transition.TRANSITION_ACTIVATE)
    client = begin_lease(asker, make_plan)
    assert change(Transition.TRANSITION_DEACTIVATE)
    assert snapshot(root) == before
    assert 'not active' in asker.acquire('late').message
    with pytest.raises(DaemonError):
        DvfsClient(client.socket_path).acquire('late')
    assert change(Transition.TRANSITION_CLEANUP)
    assert change(Transition.TRANSITION_CONFIGURE)
    assert change(Transition.TRANSITION_ACTIVATE)
    assert asker.acquire('again').success


@pytest.mark.parametrize(
    ('parameters', 'says'),
    [
        ({'limits': "['gpu']"}, 'is not like'),
        ({'limits': "['dla=1..2']"}, 'unknown domain dla'),
        ({'group': 'no_such_group'}, 'groupadd'),
        ({'board': 'no_such_board'}, 'unknown board'),
        ({'sysfs_root': '/nowhere'}, 'no clock'),
    ],
)
def test_bad_settings_are_told(start, root, parameters, says):
    given = {} if 'board' in parameters else {'sysfs_root': root}
    process = start(**{**given, **parameters})
    line = ''
    for line in process.stderr:
        if says in line:
            break
    assert says in line


def test_diagnostics_say_how_warm_the_board_is(start, asker, root):
    found = []
    asker.create_subscription(DiagnosticArray, '/diagnostics', found.append, 10)
    start(sysfs_root=root)
    assert asker.until(lambda: any(message.status for message in found))
    (board,) = next(message.status for message in found if message.status)
    assert (board.name, board.message) == ('dvfs_helper: board', 'nothing slows it down')
    assert any(pair.value.endswith('of 95') for pair in board.values)
