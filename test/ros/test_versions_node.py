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

"""Versions in a perception node: by service, by parameter, by battery; and what is refused."""

from __future__ import annotations

import math
import time
from array import array
from collections import defaultdict

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from e4_ros.msg import Detections, ExitTelemetry  # noqa: E402
from e4_ros.srv import SetPreference  # noqa: E402
from rclpy.lifecycle import TransitionCallbackReturn  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import BatteryState, Image  # noqa: E402

from e4_ros.nodes.perception import Perception  # noqa: E402
from e4_ros.perception.setup import EngineOptions, set_up  # noqa: E402
from e4_ros.perception.version_file import Measured, VersionFile  # noqa: E402

pytestmark = pytest.mark.ros

PATIENCE_S = 120.0


def until(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.005)


def overrides(**values) -> list[Parameter]:
    deep = {'qos_overrides./image.subscription.depth': 100}
    given = {
        'threads': 1, 'helper': '', 'device': 'cpu', 'controller': 'infer_edge',
        'diagnostics_period_s': 0.1, 'audit_share': 0.0, 'check_pay': False, **deep, **values,
    }  # fmt: skip
    return [Parameter(name, value=value) for name, value in given.items()]


def picture() -> np.ndarray:
    frame = np.random.default_rng(0).integers(40, 90, (128, 128, 3), np.uint8)
    frame[32:64, 32:64] = 255
    return frame


class Robot(Node):
    """A camera, a battery, and whoever listens to what comes of them."""

    def __init__(self, context) -> None:
        super().__init__('robot', context=context)
        self.images = self.create_publisher(Image, 'image', 100)
        self.battery = self.create_publisher(BatteryState, 'battery_state', 10)
        self.heard: dict[str, list] = defaultdict(list)
        self._listen('perception/detections', Detections)
        self._listen('perception/exit_telemetry', ExitTelemetry)
        self._listen('/diagnostics', DiagnosticArray)
        self._preference = self.create_client(SetPreference, 'perception/set_preference')
        self._sent = 0

    def _listen(self, topic: str, kind: type) -> None:
        self.create_subscription(kind, topic, self.heard[topic].append, 200)

    def see(self) -> tuple[Detections, ExitTelemetry]:
        """Send an image, and wait for its answer."""
        frame, self._sent = picture(), self._sent + 1
        message = Image(height=128, width=128, encoding='rgb8', step=3 * 128)
        message.data = array('B', frame.tobytes())
        message.header.stamp.sec = 100 + self._sent // 10
        message.header.stamp.nanosec = self._sent % 10 * 100_000_000
        self.images.publish(message)
        topics = ['perception/detections', 'perception/exit_telemetry']

        def found():
            return [
                m for topic in topics for m in list(self.heard[topic]) if m.header == message.header
            ]

        until(lambda: len(found()) == 2)
        return tuple(found())

    def frames_until(self, version: str) -> int:
        """How many frames are answered by others before a version answers."""
        for count in range(60):
            if self.see()[1].version == version:
                return count
        raise AssertionError(f'{version} never answered')

    def prefer(self, *weights: float) -> SetPreference.Response:
        assert self._preference.wait_for_service(PATIENCE_S)
        accuracy, latency, energy = weights
        future = self._preference.call_async(
            SetPreference.Request(accuracy=accuracy, latency=latency, energy=energy)
        )
        until(future.done)
        return future.result()

    def statuses(self) -> dict[str, dict[str, str]]:
        self.heard['/diagnostics'].clear()
        until(lambda: bool(self.heard['/diagnostics']))
        return {
            s.name.rpartition(': ')[2]: {pair.key: pair.value for pair in s.values}
            for s in self.heard['/diagnostics'][-1].status
        }


@pytest.fixture(scope='module')
def bundles(lamp_detector, tmp_path_factory):
    """Two detectors of the same lamps, one of other classes, and what was measured of the two."""
    folder = tmp_path_factory.mktemp('versions')
    for name in ('dear', 'cheap'):
        lamp_detector(folder / f'{name}.onnx')
    lamp_detector(folder / 'cars.onnx', names=('car', 'lorry'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('E4_CACHE', str(folder / 'cache'))
        versions = []
        for name, f1, joules in (('dear', 0.9, 0.3), ('cheap', 0.7, 0.03)):
            path = str(folder / f'{name}.onnx')
            print_ = set_up(EngineOptions(path, threads=1, device='cpu')).fingerprint
            versions.append(
                Measured(
                    name=name, fingerprint=print_, model=path, precision='fp32', input=(64, 64),
                    f1=f1, ms={'full': 9.0}, shares={'track': 0.8, 'full': 0.2},
                    joules=dict.fromkeys(('track', 'closer', 'full'), joules),
                )
            )  # fmt: skip
        VersionFile(
            footage=('lamps',), frames=40, judged_by='people', machine='another',
            versions=tuple(versions),
        ).save(folder / 'versions.yaml')  # fmt: skip
        (folder / 'garbage.yaml').write_text('versions: [of, nothing')
        yield folder


def chosen(folder, **values) -> list[Parameter]:
    first = {
        'model': str(folder / 'dear.onnx'),
        'versions': [f'cheap={folder}/cheap.onnx'],
        'versions_file': str(folder / 'versions.yaml'),
        'battery_topic': 'battery_state',
    }
    return overrides(**{**first, **values})


@pytest.fixture(scope='module')
def graph(ros_context, spinning, bundles):
    perception = Perception(context=ros_context, parameter_overrides=chosen(bundles))
    robot = Robot(ros_context)
    with spinning(perception, robot):
        until(lambda: robot.images.get_subscription_count() == 1)
        until(lambda: robot.battery.get_subscription_count() == 1)
        yield perception, robot


@pytest.fixture
def robot(graph):
    """With a full battery, where accuracy is weighed alone."""
    robot = graph[1]
    robot.battery.publish(BatteryState(percentage=1.0))
    until(lambda: robot.statuses()['preference']['battery'] == '1.000')
    assert robot.prefer(1.0, 0.0, 0.0).success
    robot.frames_until('dear')
    return robot


def test_the_service_changes_the_version_within_ten_frames_and_ids_go_on(graph, robot):
    ids = []
    for weights, version in (((0.0, 0.0, 1.0), 'cheap'), ((3.0, 0.0, 0.0), 'dear')):
        ids.append([d.track_id for d in robot.see()[0].detections])
        answer = robot.prefer(*weights)
        assert answer.success
        assert answer.message == (
            f'accuracy {float(weights[0] > 0):.3f}, latency 0.000, '
            f'energy {float(weights[2] > 0):.3f}'
        )
        assert robot.frames_until(version) <= 10
        ids.append([d.track_id for d in robot.see()[0].detections])
    assert ids[0]
    assert ids == [ids[0]] * 4
    assert list(graph[0].get_parameter('preference').value) == [3.0, 0.0, 0.0]


def test_the_parameter_does_the_same(graph, robot):
    (result,) = graph[0].set_parameters([Parameter('preference', value=[0, 0, 1])])
    assert result.successful
    assert robot.frames_until('cheap') <= 10


@pytest.mark.parametrize(
    'weights', [(-1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (math.nan, 0.5, 0.5), (math.inf, 0.0, 0.0)]
)
def test_weights_that_weigh_nothing_are_refused_and_nothing_changes(graph, robot, weights):
    answer = robot.prefer(*weights)
    assert not answer.success
    assert 'must be 0 or more, and not all 0' in answer.message
    (result,) = graph[0].set_parameters([Parameter('preference', value=list(weights))])
    assert not result.successful
    assert 'must be 0 or more' in result.reason
    assert list(graph[0].get_parameter('preference').value) == [1.0, 0.0, 0.0]
    assert {robot.see()[1].version for _ in range(5)} == {'dear'}


def test_a_battery_that_runs_down_turns_to_the_frugal_version(robot):
    for said in (math.nan, 55.0, 0.6):
        robot.battery.publish(BatteryState(percentage=said))
        assert {robot.see()[1].version for _ in range(5)} == {'dear'}
    robot.battery.publish(BatteryState(percentage=0.01))
    robot.frames_until('cheap')
    assert float(robot.statuses()['preference']['energy']) > 0.9
    robot.battery.publish(BatteryState(percentage=math.nan))
    assert {robot.see()[1].version for _ in range(5)} == {'cheap'}


def test_diagnostics_show_the_versions_and_the_reason(robot):
    robot.see()
    facts = robot.statuses()['controller']
    assert facts['version.dear'].startswith('F1 0.900')
    assert '0.03 J' in facts['version.cheap']
    assert facts['version_why'].startswith('dear answers: accuracy 1.00')
    assert robot.statuses()['preference']['asked'] == '1.000, 0.000, 0.000'


@pytest.mark.parametrize(
    ('values', 'says'),
    [
        ({'versions': ['gone=/nowhere/bundle']}, 'version gone cannot be loaded'),
        ({'versions': ['cars={folder}/cars.onnx']}, 'version cars has other classes'),
        ({'versions': ['cheap={folder}/cheap.onnx@int8']}, 'does not have int8'),
        ({'versions': ['cheap=']}, 'names no bundle'),
        ({'versions_file': '{folder}/garbage.yaml'}, 'is not what `e4 versions FOOTAGE'),
        ({'versions_file': '{folder}/none.yaml'}, 'none.yaml'),
        ({'versions': ['other={folder}/cheap.onnx']}, 'nothing was measured of version other'),
        ({'cameras': ['a'], 'camera_models': ['x']}, 'camera_models gives each its own'),
        ({'ring_mb': 8}, 'ring_mb learns exits of one network'),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(ros_context, bundles, monkeypatch, values, says):
    def filled(value):
        return value.format(folder=bundles) if isinstance(value, str) else value

    given = {
        name: [filled(v) for v in value] if isinstance(value, list) else filled(value)
        for name, value in values.items()
    }
    if 'versions_file' not in given and 'other' not in str(given):
        given['versions_file'] = ''
    node = Perception(
        context=ros_context,
        namespace='other',
        parameter_overrides=chosen(bundles, **given, autostart=False),
    )
    told: list[str] = []
    monkeypatch.setattr(node.get_logger(), 'error', lambda text, **_options: told.append(text))
    try:
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert says in told[0]
    finally:
        node.stop()
        node.destroy_node()
