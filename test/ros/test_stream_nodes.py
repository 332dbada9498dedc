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

"""video_source, replay and recorder as processes of their own, over DDS."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from e4_ros.msg import Detection, Detections, ExitTelemetry  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rosbags.highlevel import AnyReader  # noqa: E402
from rosbags.interfaces import (  # noqa: E402
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from std_srvs.srv import SetBool, Trigger  # noqa: E402

from e4_ros.evaluation.sources import open_source  # noqa: E402
from e4_ros.evaluation.telemetry import read_telemetry  # noqa: E402
from e4_ros.nodes.conversions import to_detections  # noqa: E402
from e4_ros.vision.detections import Detections as FrameDetections  # noqa: E402

pytestmark = pytest.mark.ros


@pytest.fixture
def start(ros_env, spawn):
    def begin(node: str, *words: str, **parameters) -> subprocess.Popen:
        given = [w for name, text in parameters.items() for w in ('-p', f'{name}:={text}')]
        command = [sys.executable, '-m', f'e4_ros.nodes.{node}', '--ros-args', *words, *given]
        return spawn(command, env=ros_env)

    return begin


class Listener(Node):
    def __init__(self, context, topics) -> None:
        super().__init__('listener', context=context)
        self.heard: dict[str, list] = {topic: [] for topic in topics}
        self.subs = {
            topic: self.create_subscription(kind, topic, self.heard[topic].append, 500)
            for topic, kind in topics.items()
        }


@pytest.fixture
def listen(ros_context):
    made = []

    def begin(**topics) -> Listener:
        listener = Listener(ros_context, {t.replace('__', '/'): k for t, k in topics.items()})
        executor = SingleThreadedExecutor(context=ros_context)
        executor.add_node(listener)
        thread = threading.Thread(target=executor.spin)
        thread.start()
        made.append((listener, executor, thread))
        return listener

    yield begin
    for listener, executor, thread in made:
        executor.shutdown()
        thread.join()
        listener.destroy_node()


def until(condition, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.01)


def test_a_video_becomes_a_camera_and_the_process_ends(start, listen, tmp_path):
    listener = listen(image=Image, image__compressed=CompressedImage)
    stamps = tmp_path / 'new' / 'stamps.csv'
    source = start(
        'video_source',
        source='bikes',
        rate='25.0',
        frames=20,
        frame_id='front',
        wait_for_subscriber='image',
        exit_at_end=True,
        stamps_file=stamps,
        # A listener may stand still for longer than the five images that are kept otherwise.
        **{'qos_overrides./image.publisher.depth': 100},
    )
    assert source.wait(60) == 0
    until(lambda: len(listener.heard['image']) == 20)
    images = listener.heard['image']
    first = next(iter(open_source('bikes')))[1]
    assert (images[0].encoding, images[0].height, images[0].width) == ('rgb8', *first.shape[:2])
    assert np.array_equal(np.frombuffer(images[0].data, np.uint8), first.reshape(-1))
    assert {message.header.frame_id for message in images} == {'front'}
    sent = [f'{m.header.stamp.sec * 10**9 + m.header.stamp.nanosec}' for m in images]
    assert stamps.read_text().split() == [f'{i},{stamp}' for i, stamp in enumerate(sent)]
    assert abs(time.time() - images[0].header.stamp.sec) < 120  # the node's clock
    jpeg = listener.heard['image/compressed'][0]
    assert bytes(jpeg.data[:2]) == b'\xff\xd8'
    assert 'published 20 images of bikes' in source.stderr.read()


@pytest.mark.parametrize(
    ('node', 'parameters', 'says'),
    [
        ('video_source', {'source': '/no/such/video'}, 'does not exist'),
        ('video_source', {'rate': '-1.0'}, 'out of range'),
        ('video_source', {'wait_for_subscriber': 'me'}, 'one of'),
        ('replay', {}, 'set the parameter `bag`'),
        ('replay', {'bag': '/no/such/bag'}, 'there is no bag'),
        ('replay', {'bag': __file__}, 'cannot be read as a bag'),
    ],
)
def test_what_cannot_start_says_why_in_one_line(start, node, parameters, says):
    process = start(node, **parameters)
    assert process.wait(60) == 1
    text = process.stderr.read()
    assert says in text
    assert 'Traceback' not in text


@pytest.fixture
def bag(tmp_path) -> Path:
    """Five grey images at 10 Hz in 2001, and a text."""
    store = get_typestore(Stores.ROS2_JAZZY)
    path = tmp_path / 'tuesday'
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        images = writer.add_connection('/cam', 'sensor_msgs/msg/Image', typestore=store)
        texts = writer.add_connection('/said', 'std_msgs/msg/String', typestore=store)
        for index, (stamp_ns, message) in enumerate(_grey_images(store)):
            data = store.serialize_cdr(message, images.msgtype)
            writer.write(images, stamp_ns, data)
            if not index:
                said = store.types[texts.msgtype](data='hello')
                writer.write(texts, stamp_ns + 1, store.serialize_cdr(said, texts.msgtype))
    return path


def _grey_images(store) -> Iterator[tuple[int, object]]:
    kind = store.types
    for index in range(5):
        stamp_ns = 10**18 + index * 10**8
        stamp = kind['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
        header = kind['std_msgs/msg/Header'](stamp, 'old')
        data = np.full(12, index, np.uint8)
        yield stamp_ns, kind['sensor_msgs/msg/Image'](header, 3, 4, 'mono8', 0, 4, data)


def test_a_bag_is_played_with_its_own_stamps_and_time(start, listen, bag):
    listener = listen(image=Image, clock=Clock)
    start(
        'replay', bag=bag, speed='5.0', clock=True, wait_for_subscriber=True, exit_at_end=True
    ).wait(60)
    until(lambda: len(listener.heard['image']) == 5)
    images = listener.heard['image']
    assert [m.header.stamp.nanosec for m in images] == [i * 10**8 for i in range(5)]
    assert {m.header.stamp.sec for m in images} == {10**9}
    assert [m.data[0] for m in images] == list(range(5))
    clocks = [m.clock.sec * 10**9 + m.clock.nanosec for m in listener.heard['clock']]
    assert clocks == sorted(clocks)
    assert clocks[-1] == 10**18 + 4 * 10**8


def test_other_topics_come_along_when_asked_and_the_image_topic_is_checked(start, listen, bag):
    listener = listen(image=Image, said=String)
    playing = start(
        'replay', bag=bag, all_topics=True, speed='0.5', loop=True, wait_for_subscriber=True
    )
    until(lambda: bool(listener.heard['said']))
    assert listener.heard['said'][0].data == 'hello'
    playing.send_signal(signal.SIGINT)
    assert playing.wait(20) == 0
    wrong = start('replay', bag=bag, image_topic='/back')
    assert wrong.wait(60) == 1
    assert 'set image_topic to one of /cam' in wrong.stderr.read()


TEXT = 'std_msgs/msg/String'
LATCHED = Qos(
    QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
    *[QosTime(0, 0)] * 2, QosLiveliness.AUTOMATIC, QosTime(0, 0), False,
)  # fmt: skip


@pytest.fixture
def long_bag(tmp_path) -> Path:
    """Images at 0.0 to 0.4 and 2.0 to 2.4 s, what two nodes latched at 0 s, and a diary."""
    store = get_typestore(Stores.ROS2_JAZZY)
    path = tmp_path / 'wednesday'

    def said(text: str) -> bytes:
        return store.serialize_cdr(store.types[TEXT](data=text), TEXT)

    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        images = writer.add_connection('/cam', 'sensor_msgs/msg/Image', typestore=store)
        diary = writer.add_connection('/diary', TEXT, typestore=store)
        for name in ('one', 'other'):
            latched = writer.add_connection(
                f'/map_of_{name}', TEXT, typestore=store, offered_qos_profiles=[LATCHED]
            )
            writer.write(latched, 10**18, said(name))
        tf = writer.add_connection('/tf_static', TEXT, typestore=store)
        for text in ('left', 'right'):
            writer.write(tf, 10**18, said(text))
        for index, (stamp_ns, message) in enumerate(_grey_images(store)):
            data = store.serialize_cdr(message, images.msgtype)
            writer.write(images, stamp_ns, data)
            writer.write(images, stamp_ns + 2 * 10**9, data)
            writer.write(diary, stamp_ns + 1, said(str(index)))
    return path


def test_what_was_latched_reaches_who_comes_late_also_from_before_the_start(
    start, ros_context, long_bag
):
    playing = start('replay', bag=long_bag, all_topics=True, start_s='1.0')
    node = rclpy.create_node('late', context=ros_context)
    until(lambda: node.count_publishers('/image') == 1)
    time.sleep(2.0)  # the bag is at its end by now, and the node still there
    heard: list[str] = []
    latched = rclpy.qos.QoSProfile(depth=10, durability=rclpy.qos.DurabilityPolicy.TRANSIENT_LOCAL)
    for topic in ('/map_of_one', '/map_of_other', '/tf_static', '/diary'):
        node.create_subscription(String, topic, lambda m: heard.append(m.data), latched)
    executor = SingleThreadedExecutor(context=ros_context)
    executor.add_node(node)
    deadline = time.monotonic() + 20
    while len(heard) < 4 and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    node.destroy_node()
    assert sorted(heard) == ['left', 'one', 'other', 'right']
    playing.send_signal(signal.SIGINT)
    assert playing.wait(20) == 0


def test_time_goes_on_steadily_where_the_bag_has_a_hole(start, listen, long_bag):
    listener = listen(image=Image, clock=Clock)
    start(
        'replay', bag=long_bag, clock=True, clock_hz='50.0', wait_for_subscriber=True,
        exit_at_end=True,
    ).wait(60)  # fmt: skip
    until(lambda: len(listener.heard['image']) == 10)
    clocks = [m.clock.sec * 10**9 + m.clock.nanosec for m in listener.heard['clock']]
    assert clocks == sorted(clocks)
    assert clocks[-1] == 10**18 + 24 * 10**8
    hole = [t for t in clocks if 10**18 + 6 * 10**8 < t < 10**18 + 19 * 10**8]
    assert len(hole) > 20  # 65 are due


def test_a_part_of_the_bag_is_played_with_the_topics_that_were_named(start, listen, long_bag):
    listener = listen(image=Image, diary=String, map_of_one=String)
    playing = start(
        'replay', bag=long_bag, start_s='0.15', duration_s='1.0', topics='[diary]',
        wait_for_subscriber=True, exit_at_end=True,
    )  # fmt: skip
    assert playing.wait(60) == 0
    until(lambda: len(listener.heard['image']) == 3)
    assert [m.data[0] for m in listener.heard['image']] == [2, 3, 4]
    assert {m.data for m in listener.heard['diary']} <= {'2', '3', '4'}
    assert listener.heard['map_of_one'] == []
    assert 'published 6 messages' in playing.stderr.read()


@pytest.mark.parametrize(
    ('parameters', 'says'),
    [
        ({'start_s': '60.0'}, 'behind the end of the bag, which lasts 2.4 s'),
        ({'topics': '[/diary, /odom]'}, 'no topic /odom; it has /cam, /diary'),
    ],
)
def test_a_part_that_is_not_there_is_refused(start, long_bag, parameters, says):
    playing = start('replay', bag=long_bag, **parameters)
    assert playing.wait(60) == 1
    assert says in playing.stderr.read()


def test_a_part_without_a_message_ends_with_an_error(start, long_bag):
    playing = start('replay', bag=long_bag, start_s='1.0', duration_s='0.5', exit_at_end=True)
    assert playing.wait(60) == 1
    assert 'no message between start_s' in playing.stderr.read()


def test_a_play_is_paused_and_stepped(start, listen, long_bag):
    listener = listen(image=Image)
    playing = start('replay', bag=long_bag, start_paused=True, wait_for_subscriber=True)
    pause = listener.create_client(SetBool, '/replay/pause')
    step = listener.create_client(Trigger, '/replay/step')
    assert pause.wait_for_service(30)
    assert step.wait_for_service(30)

    def call(client, request):
        answer = client.call_async(request)
        until(answer.done)
        return answer.result()

    for count in (1, 2):
        assert call(step, Trigger.Request()).success
        until(lambda count=count: len(listener.heard['image']) == count)
        time.sleep(0.3)
        assert len(listener.heard['image']) == count
    assert call(pause, SetBool.Request(data=False)).success
    until(lambda: len(listener.heard['image']) == 10)
    assert 'call ~/pause' in call(step, Trigger.Request()).message
    playing.send_signal(signal.SIGINT)
    assert playing.wait(20) == 0


def test_what_is_recorded_can_be_read_without_this_package(start, ros_context, tmp_path):
    node = rclpy.create_node('talker', context=ros_context)
    publisher = node.create_publisher(Detections, 'found', 10)
    latched = rclpy.qos.QoSProfile(depth=1, durability=rclpy.qos.DurabilityPolicy.TRANSIENT_LOCAL)
    early = node.create_publisher(Detections, 'before', latched)
    early.publish(Detections(model='early'))
    best_effort = node.create_publisher(Image, 'grey', rclpy.qos.qos_profile_sensor_data)
    output = tmp_path / 'new' / 'telemetry.mcap'
    recorder = start('recorder', output=output, topics="['/found', 'before', '/grey', '/no']")
    until(lambda: publisher.get_subscription_count() == 1)
    until(lambda: best_effort.get_subscription_count() == 1)
    for score in (0.5, 0.75):
        found = Detection(class_name='person', score=score, box=[1.0, 2.0, 3.0, 4.0])
        publisher.publish(Detections(model='m', detections=[found]))
    best_effort.publish(Image(height=1, width=1, encoding='mono8', step=1, data=b'\x07'))
    time.sleep(0.5)
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(20) == 0
    node.destroy_node()

    assert '4 messages in' in recorder.stderr.read()
    assert [path.name for path in output.parent.iterdir()] == ['telemetry.mcap']
    with AnyReader([output]) as reader:  # no typestore: the definitions are in the file
        messages = [
            (c.topic, reader.deserialize(data, c.msgtype)) for c, _, data in reader.messages()
        ]
    assert sorted(topic for topic, _ in messages) == ['/before', '/found', '/found', '/grey']
    scores = [m.detections[0].score for topic, m in messages if topic == '/found']
    assert scores == [0.5, 0.75]
    assert [m.model for topic, m in messages if topic == '/before'] == ['early']


def test_a_recorded_run_keeps_the_tracks_and_what_they_cost(start, ros_context, tmp_path):
    node = rclpy.create_node('perception', context=ros_context)
    found = node.create_publisher(Detections, '~/detections', 10)
    telemetry = node.create_publisher(ExitTelemetry, '~/exit_telemetry', 10)
    output = tmp_path / 'telemetry.mcap'
    recorder = start('recorder', output=output)
    until(lambda: found.get_subscription_count() + telemetry.get_subscription_count() == 2)
    header = Header(frame_id='front')
    header.stamp.sec = 5
    answer = replace(
        FrameDetections.of(np.array([[1, 2, 30, 40], [5, 5, 9, 9]]), np.array([0.5, 0.75])),
        ids=np.array([3, 2**40]),
        velocities=np.array([[12.5, -3], [0, 0]], np.float32),
    )
    found.publish(to_detections(answer, header, 'm', 'detect', ['person']))
    telemetry.publish(
        ExitTelemetry(
            header=header,
            exit_name='track',
            risk_asked=0.125,
            risk_seen=0.0625,
            key_frame_rate=0.25,
            energy_source='none',
            frames_processed=1,
        )
    )
    time.sleep(0.5)
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(20) == 0
    node.destroy_node()
    (record,), _ = read_telemetry(output, source='a run')
    assert record.result.detections.ids.tolist() == [3, 2**40]
    assert record.result.detections.velocities.tolist() == [[12.5, -3], [0, 0]]
    assert record.risk == (0.125, 0.0625, 0.25)


def test_topics_that_appear_later_are_recorded_without_a_clock(start, ros_context, tmp_path):
    node = rclpy.create_node('late_talker', context=ros_context)
    early = node.create_publisher(Detections, 'first', 10)
    recorder = start('recorder', output=tmp_path / 'late.mcap', use_sim_time=True)
    until(lambda: early.get_subscription_count() == 1)
    late = node.create_publisher(Detections, 'second', 10)
    until(lambda: late.get_subscription_count() == 1)
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(20) == 0
    node.destroy_node()
