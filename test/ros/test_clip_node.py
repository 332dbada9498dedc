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

"""The real perception node with a clip model's bundle, given images over DDS."""

from __future__ import annotations

import threading
import time
from array import array

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from e4_ros.msg import Detections, ExitTelemetry  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from e4_ros.nodes.perception import Perception  # noqa: E402

pytestmark = pytest.mark.ros
_PATIENCE_S = 30.0


def _until(condition) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.005)


class _Camera(Node):
    """Publishes images and keeps what perception says to them."""

    def __init__(self, context) -> None:
        super().__init__('camera', context=context)
        self.image = self.create_publisher(Image, 'image', 100)
        self.detections: list[Detections] = []
        self.telemetry: list[ExitTelemetry] = []
        self.diagnostics: list[DiagnosticArray] = []
        for kind, topic, kept in (
            (Detections, 'perception/detections', self.detections),
            (ExitTelemetry, 'perception/exit_telemetry', self.telemetry),
            (DiagnosticArray, '/diagnostics', self.diagnostics),
        ):
            self.create_subscription(kind, topic, kept.append, 100)

    def send(self, stamp_s: float) -> None:
        message = Image(height=120, width=160, encoding='rgb8', step=480)
        message.data = array('B', np.full((120, 160, 3), 90, np.uint8).tobytes())
        message.header.stamp.sec = int(stamp_s)
        message.header.stamp.nanosec = round(stamp_s % 1 * 1e9)
        self.image.publish(message)

    def answer(self, stamp_s: float) -> tuple[Detections, ExitTelemetry]:
        before = len(self.telemetry)
        self.send(stamp_s)
        _until(lambda: len(self.telemetry) > before and len(self.detections) > before)
        return self.detections[-1], self.telemetry[-1]

    def values(self) -> dict[str, str]:
        self.diagnostics.clear()
        _until(lambda: bool(self.diagnostics))
        return {v.key: v.value for s in self.diagnostics[-1].status for v in s.values}


@pytest.fixture(scope='module')
def make(ros_context, clip_bundle):
    """Start perception with the clip bundle and other parameters."""
    started = []

    def start(**parameters):
        overrides = {'model': str(clip_bundle), 'threads': 1, 'helper': '', **parameters}
        node = Perception(
            context=ros_context,
            parameter_overrides=[Parameter(n, value=v) for n, v in overrides.items()],
        )
        started.append(node)
        return node

    yield start
    for node in started:
        node.stop()
        node.destroy_node()


@pytest.fixture(scope='module')
def camera(ros_context, make):
    executor = SingleThreadedExecutor(context=ros_context)
    perception = make(
        window_stride_s=2.0,
        min_score=0.0,
        diagnostics_period_s=0.1,
        reliability='reliable',
    )
    camera = _Camera(ros_context)
    executor.add_node(perception)
    executor.add_node(camera)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    try:
        _until(lambda: camera.image.get_subscription_count() == 1)
        yield camera
    finally:
        executor.shutdown()
        thread.join()
        camera.destroy_node()


def test_a_window_is_answered_and_its_answer_holds(camera):
    answers = [camera.answer(500 + i / 8) for i in range(17)]
    exits = [telemetry.exit_name for _, telemetry in answers]
    looks = ['held', 'looking', 'held', 'looking', 'held', 'looking', 'held', 'full']
    assert exits == looks + ['held'] * 9, 'and a pause, until the window after two seconds'
    assert {detections.task for detections, _ in answers} == {'clips'}
    assert [len(detections.detections) for detections, _ in answers] == [0] * 7 + [1] * 10
    found = answers[-1][0].detections[0]
    assert found.class_name in ('left', 'right', 'still')
    assert list(found.box) == [0, 0, 160, 120]
    assert 1 / 3 <= found.score <= 1
    looked = answers[7][1]
    assert [segment.name for segment in looked.segments] == ['window', 'backbone', 'clip_step']
    assert list(answers[5][1].gate_names) == ['frame3']
    assert [segment.name for segment in answers[8][1].segments] == ['window']


def test_time_that_goes_back_begins_a_new_stream(camera):
    detections, telemetry = camera.answer(400.0)
    assert (telemetry.exit_name, len(detections.detections)) == ('held', 0)


def test_diagnostics_say_what_runs(camera):
    values = camera.values()
    assert values['task'] == 'clips'
    said = {s.name.rpartition(': ')[2]: s.message for s in camera.diagnostics[-1].status}
    assert said['exits'] == 'windows of 1 s: 1 answered, after 4.0 of 4 frames on average'
    assert values['exits'] == 'held, looking, frame1, frame2, frame3, full'


def test_images_without_stamps_are_sampled_by_their_times_of_arrival(camera):
    taken = set()
    for _ in range(30):
        taken.add(camera.answer(0.0)[1].exit_name)
        time.sleep(0.1)
    assert taken >= {'looking', 'full'}
    camera.values()
    said = {s.name.rpartition(': ')[2]: s.message for s in camera.diagnostics[-1].status}
    assert 'times of arrival are used instead' in said['images']


@pytest.mark.parametrize(
    ('parameters', 'reason'),
    [
        ({'baseline_every': 5}, 'baseline_every compares single images'),
        ({'model': 'pedestrian_ssdlite', 'window_s': 2.0}, 'has no windows'),
    ],
)
def test_what_does_not_fit_is_not_configured(make, parameters, reason, capfd):
    node = make(autostart=False, **parameters)
    node.trigger_configure()
    assert reason in capfd.readouterr().err
