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

"""Two perception nodes, each a process with a camera of its own, on one DVFS daemon."""

from __future__ import annotations

import signal
import sys
import time
from array import array
from itertools import islice

import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from e4_ros.msg import DvfsState, ExitTelemetry  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from e4_ros.energy.client import DvfsClient, LeasesInTheWay  # noqa: E402
from e4_ros.evaluation.sources import open_source  # noqa: E402

pytestmark = pytest.mark.ros

PATIENCE_S = 120.0
CAMERAS = ('front', 'rear')


class Robot(Node):
    """Two cameras, and whoever looks at the daemon."""

    def __init__(self, context) -> None:
        super().__init__('robot', context=context)
        self.telemetry: dict[str, list[ExitTelemetry]] = {name: [] for name in CAMERAS}
        self.state = DvfsState()
        self._images = {n: self.create_publisher(Image, f'/{n}/image', 10) for n in CAMERAS}
        self._changes = {
            n: self.create_client(ChangeState, f'/{n}/perception/change_state') for n in CAMERAS
        }
        for name in CAMERAS:
            topic = f'/{name}/perception/exit_telemetry'
            self.create_subscription(ExitTelemetry, topic, self.telemetry[name].append, 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(
            DvfsState, '/dvfs_helper/state', lambda m: setattr(self, 'state', m), latched
        )
        self.clock_steps: dict[str, str] = {}
        self.create_subscription(DiagnosticArray, '/diagnostics', self._read, 100)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)
        self._stamp = 1000

    def _read(self, message: DiagnosticArray) -> None:
        told = {status.name: status.message for status in message.status}
        self.clock_steps |= {n: text for n, text in told.items() if n.endswith('clock steps')}

    def until(self, condition, why: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, why
            self._executor.spin_once(timeout_sec=0.02)

    def show(self, camera: str, frame) -> ExitTelemetry:
        """Publish an image, again until one is answered; return what is told of it."""
        message = Image(
            height=frame.shape[0], width=frame.shape[1], encoding='rgb8', step=3 * frame.shape[1]
        )
        message.data = array('B', frame.tobytes())
        heard = self.telemetry[camera]
        before = len(heard)
        again_s = 0.0

        def answered() -> bool:
            nonlocal again_s
            if time.monotonic() >= again_s and len(heard) == before:
                again_s = time.monotonic() + 0.5
                self._stamp += 1
                message.header.stamp.sec = self._stamp
                self._images[camera].publish(message)
            return len(heard) > before

        self.until(answered, f'{camera} answers nothing')
        return heard[-1]

    def change(self, camera: str, transition: int) -> None:
        future = self._changes[camera].call_async(
            ChangeState.Request(transition=Transition(id=transition))
        )
        self.until(future.done, f'{camera} does not change its state')
        assert future.result().success

    def leases(self) -> dict[str, tuple[bool, str, int]]:
        return {
            lease.client: (lease.awake, lease.plan, lease.steps_received)
            for lease in self.state.leases
        }

    def close(self) -> None:
        self._executor.shutdown()
        self.destroy_node()


@pytest.fixture
def robot(ros_context):
    node = Robot(ros_context)
    yield node
    node.close()


def test_both_step_and_each_goes_its_own_way(robot, ros_env, spawn, tmp_path):
    def start(node: str, *words: str):
        command = [sys.executable, '-m', 'e4_ros.nodes', node, '--ros-args', *words]
        return spawn(command, env=ros_env)

    socket_path = tmp_path / 'h.sock'
    daemon = ('-p', 'board:=jetson_orin_nano', '-p', f'socket_path:={socket_path}')
    start('dvfs_helper', *daemon, '-p', 'publish_rate_hz:=20.0')
    nodes = {}
    for name in CAMERAS:
        words = ('-r', f'__ns:=/{name}', '-p', 'helper:=/dvfs_helper', '-p', 'threads:=1')
        nodes[name] = start('perception', *words, '-p', 'helper_wait_s:=60.0')
    frames = [frame for _, frame in islice(open_source('bikes'), 120, 124)]
    for _ in range(2):
        for name, frame in zip(CAMERAS, frames, strict=False):
            telemetry = robot.show(name, frame)
            assert telemetry.plan_id, f'{name} goes on without clock steps'
            assert telemetry.segments[0].point.domains

    def both_step() -> bool:
        steps = robot.leases()
        return set(steps) == {f'/{n}/perception' for n in CAMERAS} and all(
            plan and received for _, plan, received in steps.values()
        )

    robot.until(both_step, 'the daemon tells of two leases that step')
    with pytest.raises(LeasesInTheWay) as refused:
        DvfsClient(socket_path).acquire('e4 profile', exclusive=True)
    for name in CAMERAS:
        assert f'/{name}/perception (pid {nodes[name].pid}, ' in str(refused.value)

    robot.until(
        lambda: any(
            text.endswith('shared with /rear/perception') for text in robot.clock_steps.values()
        ),
        'diagnostics say nothing of the other',
    )

    # Off and on again at once, as a supervisor does: nobody tells it to try later.
    for _ in range(3):
        robot.change('front', Transition.TRANSITION_DEACTIVATE)
        robot.change('front', Transition.TRANSITION_ACTIVATE)
    assert robot.show('front', frames[2]).plan_id

    nodes['front'].send_signal(signal.SIGKILL)
    robot.until(lambda: set(robot.leases()) == {'/rear/perception'}, 'the killed one has a lease')
    assert robot.show('rear', frames[3]).plan_id
