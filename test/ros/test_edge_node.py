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

"""Perception with an edge server: telemetry of each request, and what diagnostics say of it."""

from __future__ import annotations

import socket
import time
from array import array
from itertools import islice

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')
pytest.importorskip('zenoh')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from e4_ros.msg import ExitTelemetry  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from e4_ros.evaluation.sources import open_source  # noqa: E402
from e4_ros.nodes.perception import Perception  # noqa: E402
from e4_ros.offload.request import NETWORK  # noqa: E402
from e4_ros.offload.server.core import EdgeServer, ServerConfig  # noqa: E402
from e4_ros.offload.server.own_network import NetworkService  # noqa: E402
from e4_ros.vision.bundle import shipped_bundle  # noqa: E402
from e4_ros.vision.networks.from_bundle import reopened  # noqa: E402
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime  # noqa: E402

pytestmark = pytest.mark.ros

PATIENCE_S = 120.0


def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.01)
    return found


class Robot(Node):
    """A camera, and who listens to perception."""

    def __init__(self, context):
        super().__init__('robot', context=context)
        self.image = self.create_publisher(Image, 'image', 100)
        self.told: list[ExitTelemetry] = []
        self.diagnostics: list[DiagnosticArray] = []
        topic = 'perception/exit_telemetry'
        self.create_subscription(ExitTelemetry, topic, self.told.append, 100)
        self.create_subscription(DiagnosticArray, '/diagnostics', self.diagnostics.append, 100)

    def send(self, frame: np.ndarray, tenth: int) -> ExitTelemetry:
        """The telemetry of an image."""
        message = Image(
            height=frame.shape[0], width=frame.shape[1], encoding='rgb8', step=3 * frame.shape[1]
        )
        message.data = array('B', frame.tobytes())
        message.header.stamp.sec, message.header.stamp.nanosec = (
            1000 + tenth // 10,
            10**8 * (tenth % 10),
        )
        message.header.frame_id = 'front'
        before = len(self.told)
        self.image.publish(message)
        until(lambda: len(self.told) > before)
        return self.told[-1]

    def status(self):
        """What diagnostics say of the edge server: level, message, values."""
        for message in reversed(self.diagnostics):
            for each in message.status:
                if each.name.endswith(': edge server'):
                    values = {pair.key: pair.value for pair in each.values}
                    return int.from_bytes(each.level, 'little'), each.message, values
        return None


@pytest.fixture(scope='module')
def endpoint():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return f'tcp/127.0.0.1:{probe.getsockname()[1]}'


@pytest.fixture(scope='module')
def graph(ros_context, spinning, endpoint):
    overrides = {
        'threads': 1,
        'helper': '',
        'diagnostics_period_s': 0.1,
        'reliability': 'reliable',
        'edge_server': endpoint,
        'edge_offload': 'auto',
        'edge_deadline_s': 5.0,
        'radio_w': 1.0,
    }
    perception = Perception(
        context=ros_context,
        parameter_overrides=[Parameter(name, value=each) for name, each in overrides.items()],
    )
    robot = Robot(ros_context)
    with spinning(perception, robot):
        until(lambda: robot.image.get_subscription_count() == 1)
        yield robot


def test_with_and_without_the_server(graph, endpoint):
    robot = graph
    street = [frame for _, frame in islice(open_source('bikes'), 110, 140)]
    level, message, values = until(lambda: robot.status())
    assert level == 1
    assert 'stays local because' in message
    assert values['endpoints'] == endpoint
    first = robot.send(street[0], 0)
    assert (first.exit_name, first.offload.place, first.offload.sent) == ('full', 'robot', 0)

    model = reopened(shipped_bundle('pedestrian_ssdlite'))
    service = NetworkService(model, OnnxRuntime(1))
    with EdgeServer({NETWORK: service}, ServerConfig((endpoint,))):
        until(lambda: robot.status()[0] == 0 and robot.status()[2]['asked'] == 'network frame')
        told = [robot.send(frame, 1 + index) for index, frame in enumerate(street)]
        asked = [each for each in told if each.offload.service]
        assert asked
        assert {(each.offload.service, each.offload.form) for each in asked} == {
            ('network', 'frame')
        }
        requests = [request for each in told for request in each.offload.requests]
        assert requests
        assert {request.status for request in requests} == {'answered'}
        request = requests[0]
        assert request.sent_bytes > 1000
        assert request.total_s > request.run_s > 0
        stamps = [(each.header.stamp.sec, each.header.stamp.nanosec) for each in asked]
        assert (request.stamp.sec, request.stamp.nanosec) == stamps[0]
        assert sum(each.offload.radio_j for each in told) > 0
        last = told[-1].offload
        assert last.answered == last.taken + last.corrected + last.dropped
    level, message, _ = until(lambda: robot.status()[0] == 1 and robot.status())
    assert 'stays local because' in message
    after = robot.send(street[0], 100)
    assert after.offload.place == 'robot'
