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

"""Several cameras in one perception node: topics, counts and tracks of their own, one network."""

from __future__ import annotations

import time
from array import array
from collections import defaultdict
from itertools import islice

import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from e4_ros.msg import Detections, ExitTelemetry  # noqa: E402
from rclpy.lifecycle import TransitionCallbackReturn  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402

from e4_ros.evaluation.sources import open_source  # noqa: E402
from e4_ros.nodes.perception import Perception  # noqa: E402

pytestmark = pytest.mark.ros

PATIENCE_S = 120.0
CAMERAS = ('front', 'rear')


class Robot(Node):
    """Two cameras and whoever listens to what comes of them."""

    def __init__(self, context) -> None:
        super().__init__('robot', context=context)
        self.images = {name: self.create_publisher(Image, f'{name}/image', 100) for name in CAMERAS}
        self.heard: dict[str, list] = defaultdict(list)
        for name in CAMERAS:
            for topic, kind in (('detections', Detections), ('exit_telemetry', ExitTelemetry)):
                self._listen(f'perception/{name}/{topic}', kind)
        self._listen('perception/detections', Detections)
        self._listen('/diagnostics', DiagnosticArray)
        self._enable = self.create_client(SetBool, 'perception/enable')

    def _listen(self, topic: str, kind: type) -> None:
        self.create_subscription(kind, topic, self.heard[topic].append, 200)

    def send(self, camera: str, frame, stamp_s: float):
        message = Image(
            height=frame.shape[0], width=frame.shape[1], encoding='rgb8', step=3 * frame.shape[1]
        )
        message.data = array('B', frame.tobytes())
        message.header.frame_id = f'{camera}_optical'
        message.header.stamp.sec = int(stamp_s)
        message.header.stamp.nanosec = round(stamp_s % 1 * 1e9)
        self.images[camera].publish(message)
        return message.header

    def answer_to(self, camera: str, header) -> tuple[Detections, ExitTelemetry]:
        topics = [f'perception/{camera}/{name}' for name in ('detections', 'exit_telemetry')]

        def found():
            return [m for topic in topics for m in list(self.heard[topic]) if m.header == header]

        until(lambda: len(found()) == 2)
        return tuple(found())

    def enable(self, on: bool) -> None:
        assert self._enable.wait_for_service(PATIENCE_S)
        future = self._enable.call_async(SetBool.Request(data=on))
        until(future.done)
        assert future.result().success

    def statuses(self) -> dict[str, tuple[str, dict[str, str]]]:
        self.heard['/diagnostics'].clear()
        until(lambda: bool(self.heard['/diagnostics']))
        return {
            s.name.rpartition(': ')[2]: (s.message, {pair.key: pair.value for pair in s.values})
            for s in self.heard['/diagnostics'][-1].status
        }

    def counts(self, camera: str) -> tuple[int, int, int]:
        _, values = self.statuses()[f'images {camera}']
        return tuple(int(values[f'frames_{n}']) for n in ('received', 'processed', 'dropped'))


def until(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.005)


def overrides(**values) -> list[Parameter]:
    deep = {f'qos_overrides./{name}/image.subscription.depth': 100 for name in CAMERAS}
    given = {'threads': 1, 'helper': '', 'diagnostics_period_s': 0.1, **deep, **values}
    return [Parameter(name, value=value) for name, value in given.items()]


@pytest.fixture(scope='module')
def graph(ros_context, spinning):
    perception = Perception(
        context=ros_context, parameter_overrides=overrides(cameras=list(CAMERAS))
    )
    robot = Robot(ros_context)
    with spinning(perception, robot):
        until(lambda: all(p.get_subscription_count() == 1 for p in robot.images.values()))
        yield perception, robot


@pytest.fixture
def robot(graph):
    """With new streams, whose images count from 0."""
    assert graph[0].trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert graph[0].trigger_activate() == TransitionCallbackReturn.SUCCESS
    until(lambda: all(p.get_subscription_count() == 1 for p in graph[1].images.values()))
    return graph[1]


@pytest.fixture(scope='module')
def street():
    return [frame for _, frame in islice(open_source('bikes'), 115, 135)]


def test_each_camera_is_answered_on_its_topics_with_tracks_of_its_own(robot, street):
    exits: dict[str, list[str]] = {name: [] for name in CAMERAS}
    for index, frame in enumerate(street[:10]):
        for camera, shown in (('front', frame), ('rear', frame[:240, 200:])):
            header = robot.send(camera, shown, 100 + index / 10)
            detections, telemetry = robot.answer_to(camera, header)
            assert detections.header.frame_id == f'{camera}_optical'
            assert all(d.box[2] <= shown.shape[1] for d in detections.detections)
            exits[camera].append(telemetry.exit_name)
    # Images of other size and frame in turns are no new streams where each camera has a topic.
    assert all('track' in taken[2:] for taken in exits.values())
    assert not robot.heard['perception/detections']
    assert robot.counts('front') == robot.counts('rear') == (10, 10, 0)


def test_cameras_of_other_rates_share_the_thread_and_every_image_is_counted(robot, street):
    sent = {'front': 0, 'rear': 0}
    for index in range(90):  # about sixty a second, and half of that
        robot.send('front', street[index % 20], 200 + index / 60)
        sent['front'] += 1
        if index % 2:
            robot.send('rear', street[index % 20], 200 + index / 60)
            sent['rear'] += 1
        time.sleep(1 / 60)
    until(lambda: all(robot.counts(name)[0] == sent[name] for name in CAMERAS))
    for name in CAMERAS:
        received, processed, dropped = robot.counts(name)
        assert received == processed + dropped
        assert processed > 0
        last = robot.heard[f'perception/{name}/exit_telemetry'][-1]
        assert last.frames_received == last.frames_processed + last.frames_dropped
        assert last.frames_processed == processed


def test_a_silent_camera_is_told_and_holds_up_no_other(robot, street, monkeypatch):
    monkeypatch.setattr('e4_ros.nodes.diagnostics.SILENCE_S', 0.3)
    before = time.monotonic()
    while time.monotonic() - before < 0.8:
        header = robot.send('front', street[0], time.time())
        robot.answer_to('front', header)
    statuses = robot.statuses()
    assert 'rear/image' in statuses['images rear'][0]
    assert 'image' not in statuses['images front'][0].replace('images processed', '')
    assert robot.counts('rear') == (0, 0, 0)
    assert {'exits front', 'exits rear', 'network'} <= statuses.keys()
    header = robot.send('rear', street[1], time.time())
    detections, _ = robot.answer_to('rear', header)
    assert detections.detections


def test_all_cameras_are_switched_off_and_on_together(robot, street):
    robot.enable(False)
    until(lambda: not any(p.get_subscription_count() for p in robot.images.values()))
    robot.enable(True)
    until(lambda: all(p.get_subscription_count() for p in robot.images.values()))
    for camera in CAMERAS:
        robot.answer_to(camera, robot.send(camera, street[0], 500.0))


def test_it_stops_and_starts_with_images_in_hand(graph, robot, street):
    perception = graph[0]
    for round_ in range(3):
        for index in range(12):
            for camera in CAMERAS:
                robot.send(camera, street[index], 600 + round_ * 10 + index / 30)
        time.sleep(0.05)
        assert perception.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        for each in perception._images.inputs:
            counts = each.health.counts()
            assert counts.received == counts.processed + counts.dropped
        assert perception.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        assert perception.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert perception.trigger_activate() == TransitionCallbackReturn.SUCCESS
        until(lambda: all(p.get_subscription_count() == 1 for p in robot.images.values()))
    for camera in CAMERAS:
        assert robot.answer_to(camera, robot.send(camera, street[0], 700.0))[0].detections


@pytest.mark.parametrize(
    ('values', 'says'),
    [
        ({'cameras': ['front', '2nd']}, "cameras: '2nd' cannot be a part of a topic"),
        ({'cameras': ['front', 'front']}, 'cameras: front is there twice'),
        ({'cameras': ['front', 'rear'], 'ring_mb': 8}, 'ring_mb keeps frames of one camera'),
        ({'cameras': ['front', 'rear'], 'camera_slo_ms': ['5', '6', '7']}, 'has 3 values for 2'),
        (
            {'cameras': ['front', 'rear'], 'camera_slo_ms': ['5', '-6']},
            "camera_slo_ms of rear is '-6'",
        ),
        ({'camera_slo_ms': ['50'], 'pair_within_s': 0.05}, 'set one of them to 0'),
        ({'cameras': ['front'], 'camera_models': ['a', 'b']}, 'camera_models has 2 values for 1'),
        (
            {
                'cameras': ['front', 'rear'],
                'camera_models': ['pedestrian_ssdlite', '/no/such/bundle'],
                'controller': 'exits',
            },
            'the model of camera rear: ',
        ),
        (
            {'cameras': ['front', 'rear'], 'camera_models': ['pedestrian_ssdlite', 'other']},
            'controller e4 sets clocks',
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(ros_context, monkeypatch, values, says):
    node = Perception(
        context=ros_context,
        namespace='other',
        parameter_overrides=overrides(**values, autostart=False),
    )
    told: list[str] = []
    monkeypatch.setattr(node.get_logger(), 'error', lambda text, **_options: told.append(text))
    try:
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert says in told[0]
    finally:
        node.stop()
        node.destroy_node()
