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

"""The real perception node with the real network, given good and bad images over DDS."""

from __future__ import annotations

import gc
import time
import weakref
from array import array
from collections import defaultdict
from itertools import islice

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from e4_ros.msg import Detections, ExitTelemetry  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_msgs.msg import Float32  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402

from e4_ros.evaluation.sources import open_source  # noqa: E402
from e4_ros.nodes.dvfs_helper import DvfsHelper  # noqa: E402
from e4_ros.nodes.perception import Perception  # noqa: E402
from e4_ros.vision.detections import Detections as FrameDetections  # noqa: E402
from e4_ros.vision.inference.audit import Auditor  # noqa: E402
from e4_ros.vision.inference.exit_thresholds import DEFAULT_RISK, ExitThresholds  # noqa: E402

pytestmark = pytest.mark.ros

PATIENCE_S = 120.0  # services are found late on a machine that is busy


class Robot(Node):
    """A camera and a listener: everything around perception."""

    def __init__(self, context: Context) -> None:
        super().__init__('robot', context=context)
        self.image = self.create_publisher(Image, 'image', 100)
        self.jpeg = self.create_publisher(CompressedImage, 'image/compressed', 100)
        self.messages: dict[str, list] = defaultdict(list)
        for topic, kind in (
            ('perception/detections', Detections),
            ('perception/exit_telemetry', ExitTelemetry),
            ('perception/baseline/detections', Detections),
            ('perception/baseline/exit_telemetry', ExitTelemetry),
            ('/diagnostics', DiagnosticArray),
        ):
            self.create_subscription(kind, topic, self.messages[topic].append, 100)
        self._set = self.create_client(SetParameters, 'perception/set_parameters')
        self._change = self.create_client(ChangeState, 'perception/change_state')
        self._enable = self.create_client(SetBool, 'perception/enable')
        self._next_tenth = 10_000

    def send(
        self,
        message: Image | CompressedImage,
        stamp: int | None = None,
        frame_id: str = 'front',
    ):
        """Publish with a stamp (seconds), or one a tenth after the last; return the header."""
        self._next_tenth += 1
        second, tenth = divmod(self._next_tenth, 10) if stamp is None else (stamp, 0)
        message.header.stamp.sec = second
        message.header.stamp.nanosec = tenth * 10**8 + 5
        message.header.frame_id = frame_id
        (self.jpeg if hasattr(message, 'format') else self.image).publish(message)
        return message.header

    def send_without_time(self, message: Image) -> ExitTelemetry:
        """Publish with an empty stamp; the answer's telemetry."""
        message.header.frame_id = 'front'
        heard = self.messages['perception/exit_telemetry']
        before = len(heard)
        self.image.publish(message)
        until(lambda: len(heard) > before)
        return heard[-1]

    def answer_to(self, header) -> tuple[Detections, ExitTelemetry]:
        def found():
            return [
                message
                for topic in ('perception/detections', 'perception/exit_telemetry')
                for message in list(self.messages[topic])
                if message.header == header
            ]

        until(lambda: len(found()) == 2)
        detections, telemetry = found()
        return detections, telemetry

    def ask(self, client, request):
        assert client.wait_for_service(PATIENCE_S)
        future = client.call_async(request)
        until(future.done)
        return future.result()

    def set(self, **values):
        parameters = [Parameter(n, value=v).to_parameter_msg() for n, v in values.items()]
        return self.ask(self._set, SetParameters.Request(parameters=parameters)).results[0]

    def change(self, *transitions: str) -> None:
        for name in transitions:
            number = getattr(Transition, f'TRANSITION_{name.upper()}')
            request = ChangeState.Request(transition=Transition(id=number))
            assert self.ask(self._change, request).success

    def enable(self, on: bool):
        return self.ask(self._enable, SetBool.Request(data=on))

    def status(self, name: str):
        """The next status of that name: message and values."""
        self.messages['/diagnostics'].clear()
        until(lambda: bool(self.messages['/diagnostics']))
        statuses = {s.name.rpartition(': ')[2]: s for s in self.messages['/diagnostics'][-1].status}
        found = statuses[name]
        return found.message, {pair.key: pair.value for pair in found.values}

    def count(self, key: str) -> int:
        return int(self.status('images')[1].get(key, 0))


@pytest.fixture
def warnings(graph, monkeypatch) -> list[str]:
    """What perception warns of from now on."""
    texts: list[str] = []
    monkeypatch.setattr(
        graph[0].get_logger(), 'warning', lambda text, **_options: texts.append(text)
    )
    return texts


def until(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.005)


@pytest.fixture(scope='module')
def graph(ros_context, spinning):
    """Perception, everything around it, and a thread that spins both."""
    perception = Perception(
        context=ros_context,
        parameter_overrides=[
            Parameter('threads', value=1),
            Parameter('diagnostics_period_s', value=0.1),
            Parameter('helper_retry_s', value=0.3),
            Parameter('reliability', value='reliable'),
            Parameter('qos_overrides./image.subscription.depth', value=100),
        ],
    )
    robot = Robot(ros_context)
    with spinning(perception, robot) as executor:
        until(lambda: robot.image.get_subscription_count() == 1)
        yield perception, robot, executor


@pytest.fixture
def robot(graph):
    return graph[1]


@pytest.fixture(scope='module')
def street():
    """A frame with somebody on it."""
    return next(islice(open_source('bikes'), 120, None))[1]


def image(frame: np.ndarray, encoding: str = 'rgb8', **changes) -> Image:
    channels = 1 if frame.ndim == 2 else frame.shape[2]
    message = Image(
        height=frame.shape[0],
        width=frame.shape[1],
        encoding=encoding,
        step=frame.shape[1] * channels * frame.itemsize,
    )
    message.data = array('B', frame.tobytes())
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def jpeg(frame: np.ndarray) -> bytes:
    return cv2.imencode('.jpg', frame[..., ::-1])[1].tobytes()


def test_people_are_found_and_the_header_is_kept(robot, street):
    header = robot.send(image(street))
    detections, telemetry = robot.answer_to(header)
    assert detections.header.frame_id == 'front'
    assert {d.class_name for d in detections.detections} == {'person'}
    scores = [d.score for d in detections.detections]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.5
    x0, y0, x1, y1 = detections.detections[0].box
    assert 0 <= x0 < x1 <= street.shape[1]
    assert 0 <= y0 < y1 <= street.shape[0]
    assert telemetry.latency_s > 0
    assert sum(s.latency_s for s in telemetry.segments) == pytest.approx(telemetry.latency_s)


DEPTH = np.full((48, 64), np.nan, np.float32)
SMALL = np.zeros((48, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ('bad', 'says'),
    [
        (image(SMALL, encoding='banana'), "unknown encoding 'banana'"),
        (image(SMALL, encoding=''), 'unknown encoding'),
        (image(np.zeros((0, 0, 3), np.uint8)), 'no pixels'),
        (image(SMALL, data=array('B', bytes(100))), 'truncated: 100 bytes'),
        (image(SMALL, data=array('B')), 'truncated: 0 bytes'),
        (image(SMALL, step=64), 'step is 64 bytes'),
        (image(SMALL, height=2**32 - 1, width=2**32 - 1), 'over the limit'),
        (image(DEPTH, encoding='32FC1'), 'depth'),
        (image(np.zeros((6251, 8000), np.uint8), encoding='mono8'), 'over the limit'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_a_bad_image_is_counted_with_its_reason_and_harms_nothing(robot, street, bad, says):
    before = robot.count('dropped.bad_image')
    robot.send(bad)
    until(lambda: robot.count('dropped.bad_image') == before + 1)
    _, values = robot.status('images')
    assert any(says in text for key, text in values.items() if key.startswith('error.'))
    assert int(values['frames_received']) == int(values['frames_processed']) + int(
        values['frames_dropped']
    )
    assert robot.answer_to(robot.send(image(street)))


def test_a_very_large_image_is_answered_or_refused_as_the_limit_says(robot):
    large = np.full((6000, 8000), 127, np.uint8)
    assert robot.answer_to(robot.send(image(large, encoding='mono8')))
    assert robot.set(max_pixels=1_000_000).successful
    before = robot.count('dropped.bad_image')
    robot.send(image(large, encoding='mono8'))
    until(lambda: robot.count('dropped.bad_image') == before + 1)
    assert robot.set(max_pixels=50_000_000).successful


def test_size_may_change_in_mid_stream(robot, street):
    small = cv2.resize(street, None, fx=0.5, fy=0.5)
    for frame in (street, small, street[:100], street):
        detections, _ = robot.answer_to(robot.send(image(frame)))
        for found in detections.detections:
            assert found.box[2] <= frame.shape[1]


def test_time_may_go_backwards(robot, street):
    robot.answer_to(robot.send(image(street), stamp=900))
    detections, telemetry = robot.answer_to(robot.send(image(street), stamp=500))
    assert detections.detections
    assert telemetry.exit_name == 'full'  # a new stream has no tracks


def test_other_encodings_of_the_same_picture_get_the_same_answer(robot, street):
    found = []
    for camera, message in (
        ('a', image(street)),
        ('b', image(np.ascontiguousarray(street[..., ::-1]), encoding='bgr8')),
        ('c', image(cv2.cvtColor(street, cv2.COLOR_RGB2BGRA), encoding='bgra8')),
    ):
        # Each begins a new stream, so that none of them answers from the last.
        detections, _ = robot.answer_to(robot.send(message, frame_id=camera))
        found.append([(d.class_name, round(d.score, 3)) for d in detections.detections])
    assert found[0] == found[1] == found[2]


def test_stamps_that_stand_still_are_replaced_by_the_time_of_arrival_and_headers_stay(
    graph, robot, street, warnings
):
    robot.change('deactivate', 'activate')
    for _ in range(12):
        telemetry = robot.send_without_time(image(street))
        assert (telemetry.header.stamp.sec, telemetry.header.stamp.nanosec) == (0, 0)
        time.sleep(0.05)
    message, _ = robot.status('images')
    assert 'stamps are empty: times of arrival are used instead' in message
    assert sum('times of arrival' in text for text in warnings) == 1
    assert 0.0 < graph[0]._images.inputs[0].stream._time_s < 60.0, 'time goes on from the stamp'
    robot.change('deactivate', 'activate')
    robot.answer_to(robot.send(image(street)))
    assert 'times of arrival' not in robot.status('images')[0], 'activated anew it trusts stamps'


def test_two_cameras_on_one_topic_do_not_mix_their_tracks_and_the_diagnostics_warn(
    robot, street, warnings
):
    robot.change('deactivate', 'activate')
    ids: dict[str, set[int]] = {'left': set(), 'right': set()}
    for index in range(8):
        camera = ('left', 'right')[index % 2]
        detections, telemetry = robot.answer_to(robot.send(image(street), frame_id=camera))
        assert detections.header.frame_id == camera
        assert telemetry.exit_name != 'track'
        found = {d.track_id for d in detections.detections}
        assert found
        assert not found & (ids['left'] | ids['right'])
        ids[camera] |= found
    message, _ = robot.status('images')
    assert 'several cameras come on one topic (left 640×272 and right 640×272' in message
    assert 'start a perception node for each' in message
    assert sum('several cameras' in text for text in warnings) == 1


def test_two_publishers_of_one_topic_are_told(robot):
    second = robot.create_publisher(Image, 'image', 10)
    until(lambda: '2 publishers send /image' in robot.status('images')[0])
    robot.destroy_publisher(second)
    until(lambda: 'publishers send' not in robot.status('images')[0])


def test_objects_have_ids_that_stay_and_are_not_used_again_when_it_is_activated_anew(robot, street):
    def ids():
        detections, telemetry = robot.answer_to(robot.send(image(street)))
        assert telemetry.risk_asked == pytest.approx(DEFAULT_RISK)
        assert 0 < telemetry.key_frame_rate <= 1
        for found in detections.detections:
            assert np.abs(found.velocity).max() < 30, 'the picture stands still'
        return [found.track_id for found in detections.detections]

    robot.change('deactivate', 'activate')
    first = ids()
    assert first
    assert min(first) > 0
    assert set(ids()) >= set(first)
    robot.change('deactivate', 'activate')
    assert min(ids()) > max(first)


def test_every_image_of_a_flood_is_accounted_for(robot, street):
    before = robot.count('frames_received')
    for _ in range(60):
        robot.send(image(street))
    until(lambda: robot.count('frames_received') == before + 60)
    _, values = robot.status('images')
    counted = int(values['frames_processed']) + int(values['frames_dropped'])
    assert counted == int(values['frames_received'])
    assert int(values['dropped.newer_image']) > 0
    telemetry = robot.messages['perception/exit_telemetry'][-1]
    assert telemetry.frames_received == telemetry.frames_processed + telemetry.frames_dropped


def test_bad_parameters_are_refused_with_the_reason(robot):
    for values, says in (
        ({'max_pixels': 0}, 'out of range'),
        ({'controller': 'guess'}, 'one of e4, full, exits'),
        ({'controller': 'full'}, 'clean it up first'),
        ({'threads': 'many'}, 'threads takes a whole number'),
        ({'autostart': False}, 'read-only'),
    ):
        result = robot.set(**values)
        assert not result.successful
        assert says in result.reason


def test_disabled_it_neither_listens_nor_answers(robot, street):
    assert robot.enable(False).success
    until(lambda: robot.image.get_subscription_count() == 0)
    assert robot.enable(True).success
    until(lambda: robot.image.get_subscription_count() == 1)
    assert robot.answer_to(robot.send(image(street)))


def test_it_draws_only_while_someone_looks(graph, robot, street):
    outputs = graph[0]._outputs[0]
    robot.answer_to(robot.send(image(street)))
    assert outputs._annotator is None
    pictures: list[Image] = []
    looking = robot.create_subscription(Image, 'perception/annotated', pictures.append, 10)
    until(lambda: outputs._annotated.get_subscription_count() == 1)
    header = robot.send(image(street))
    until(lambda: any(picture.header == header for picture in pictures))
    picture = pictures[-1]
    assert picture.encoding == 'rgb8'
    assert len(picture.data) == picture.height * picture.step
    robot.destroy_subscription(looking)


def test_it_goes_on_without_a_helper_and_takes_one_that_comes(graph, robot, street):
    _, _, executor = graph
    message, _ = robot.status('clock steps')
    assert 'going on without clock steps' in message
    _, telemetry = robot.answer_to(robot.send(image(street)))
    assert telemetry.energy_source == 'none'
    assert np.isnan(telemetry.energy_j)
    assert not any(segment.point.domains for segment in telemetry.segments)

    for _ in range(2):  # the second comes after the first was lost
        daemon = DvfsHelper(
            context=graph[0].context,
            parameter_overrides=[Parameter('board', value='jetson_orin_nano')],
        )
        executor.add_node(daemon)
        until(lambda: 'stepping' in robot.status('clock steps')[0])
        _, telemetry = robot.answer_to(robot.send(image(street)))
        assert telemetry.energy_source == 'modelled'
        assert telemetry.energy_j > 0
        assert all('gpu' in segment.point.domains for segment in telemetry.segments)

        executor.remove_node(daemon)
        daemon.stop()
        daemon.destroy_node()
        _, telemetry = robot.answer_to(robot.send(image(street)))
        assert telemetry.energy_source == 'none'
        until(lambda: 'without clock steps' in robot.status('clock steps')[0])


def test_the_tracks_answer_what_stands_still_and_the_telemetry_says_so(robot, street):
    taken = []
    for _ in range(20):
        detections, telemetry = robot.answer_to(robot.send(image(street)))
        taken.append(telemetry.exit_name)
        assert detections.detections[0].class_name == 'person'
    assert set(taken) == {'track', 'full'}
    assert list(telemetry.gate_names) == ['track']
    assert 0 <= telemetry.gate_scores[0] <= 1


@pytest.fixture
def with_skips(robot):
    """Perception that drops images which the scene does not need."""
    robot.change('deactivate', 'cleanup')
    assert robot.set(skip_unneeded=True, camera_rate_max_hz=60.0).successful
    robot.change('configure', 'activate')
    until(lambda: robot.image.get_subscription_count() == 1)
    yield
    robot.change('deactivate', 'cleanup')
    assert robot.set(skip_unneeded=False, camera_rate_max_hz=30.0).successful
    robot.change('configure', 'activate')
    until(lambda: robot.image.get_subscription_count() == 1)


def test_images_that_the_scene_does_not_need_are_dropped_and_counted(
    graph, robot, street, with_skips
):
    told: list[Float32] = []
    listening = robot.create_subscription(Float32, 'perception/camera_rate', told.append, 10)
    rate = graph[0]._images.inputs[0].rate
    vars(rate)['answered'] = lambda *_: None  # how fast key frames come is this machine's
    rate._hz = 6.0
    sent = 0
    while not (robot.count('dropped.not_needed') and told and told[-1].data == 6.0):
        robot.send(image(street))
        sent += 1
        time.sleep(0.02)
        assert sent < 1000, 'every image is needed'
    until(lambda: robot.count('frames_received') == sent)
    _, values = robot.status('images')
    assert int(values['frames_processed']) + int(values['frames_dropped']) == sent
    robot.destroy_subscription(listening)


def test_bounds_of_the_cameras_rate_that_contradict_are_refused_with_the_reason(robot):
    robot.change('deactivate', 'cleanup')
    assert robot.set(camera_rate_min_hz=40.0).successful
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    assert not robot.ask(robot._change, request).success
    assert robot.set(camera_rate_min_hz=5.0).successful
    robot.change('configure', 'activate')
    until(lambda: robot.image.get_subscription_count() == 1)


@pytest.fixture
def with_exits(robot, exits_bundle):
    """Perception with exits that were never trained, below its tracks."""
    robot.change('deactivate', 'cleanup')
    assert robot.set(model=str(exits_bundle)).successful
    robot.change('configure', 'activate')
    until(lambda: robot.image.get_subscription_count() == 1)
    yield
    robot.change('deactivate', 'cleanup')
    assert robot.set(model='pedestrian_ssdlite').successful
    robot.change('configure', 'activate')
    until(lambda: robot.image.get_subscription_count() == 1)


def test_an_exit_that_went_wrong_is_switched_off_and_the_diagnostics_say_what_to_do(
    graph, robot, street, with_exits, monkeypatch
):
    ladder = graph[0]._network.get().perceivers[0].engine
    engine = ladder.engine
    nonsense = FrameDetections.of(np.array([[0, 0, 9, 9]]), np.array([0.99]))
    monkeypatch.setattr(ladder, 'thresholds', ExitThresholds({'temporal': 0.0}))  # no `track`
    monkeypatch.setattr(engine, 'auditor', Auditor({'temporal': 0.3}))  # keeps nothing on disk
    monkeypatch.setattr(engine, 'economics', None)
    monkeypatch.setattr(engine.temporal, 'detections', lambda min_score: nonsense)
    taken = []
    for _ in range(150):
        taken.append(robot.answer_to(robot.send(image(street)))[1].exit_name)
        if ladder.off:
            break
    assert 'temporal' in taken
    until(lambda: 'Exit temporal is switched off' in robot.status('exits')[0])
    message, values = robot.status('exits')
    assert 'e4 fit' in message
    assert 'less (F1) of what a close look finds' in values['off.temporal']
    assert int(values['audits']) >= 3
    assert float(values['audit_s']) > 0
    assert robot.answer_to(robot.send(image(street)))[1].exit_name == 'full'


def test_reconfigured_for_compressed_images_and_a_baseline(graph, robot, street):
    perception, _, _ = graph
    network = weakref.ref(perception._network.get().perceivers[0].engine)
    robot.change('deactivate', 'cleanup')
    gc.collect()
    assert network() is None  # the model is freed
    assert robot.set(image_transport='compressed').successful
    assert robot.set(baseline_every=2).successful
    robot.change('configure', 'activate')
    until(lambda: robot.jpeg.get_subscription_count() == 1)
    assert robot.count('frames_received') == 0

    whole = jpeg(street)
    for data, says in (
        (whole[: len(whole) // 2], 'cut off'),
        (b'\xff\xd8' + bytes(200) + b'\xff\xd9', 'no image'),
        (b'', 'no data'),
    ):
        before = robot.count('dropped.bad_image')
        robot.send(CompressedImage(format='jpeg', data=array('B', data)))
        until(lambda before=before: robot.count('dropped.bad_image') == before + 1)
        assert says in ' '.join(robot.status('images')[1].values())
    headers = [robot.send(CompressedImage(format='jpeg', data=array('B', whole)))]
    detections, _ = robot.answer_to(headers[0])
    assert detections.detections
    headers.append(robot.send(CompressedImage(format='jpeg', data=array('B', whole))))
    robot.answer_to(headers[1])
    until(lambda: bool(robot.messages['perception/baseline/exit_telemetry']))
    full = robot.messages['perception/baseline/exit_telemetry'][-1]
    assert full.header == headers[1]
    assert full.exit_name == 'full'


def test_it_follows_whoever_publishes_images(robot, street):
    robot.change('deactivate', 'cleanup')
    assert robot.set(image_transport='auto', baseline_every=0).successful
    robot.destroy_publisher(robot.image)
    until(lambda: not robot.count_publishers('/image'))
    robot.change('configure', 'activate')
    until(lambda: robot.jpeg.get_subscription_count() == 1)
    data = array('B', jpeg(street))
    assert robot.answer_to(robot.send(CompressedImage(format='jpeg', data=data)))
    robot.change('deactivate', 'cleanup')
    robot.image = robot.create_publisher(Image, 'image', 100)
    robot.change('configure', 'activate')
    until(lambda: robot.image.get_subscription_count() == 1)
    assert robot.answer_to(robot.send(image(street)))
    robot.change('deactivate', 'cleanup')


def test_a_model_that_is_not_there_is_told_and_can_be_put_right(robot, street):
    assert robot.set(model='no_such_model').successful
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    assert not robot.ask(robot._change, request).success
    assert robot.set(model='pedestrian_ssdlite').successful
    assert robot.set(image_transport='raw').successful
    robot.change('configure', 'activate')
    until(lambda: robot.image.get_subscription_count() == 1)
    assert robot.answer_to(robot.send(image(street)))
