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

"""Perception that learns while it drives: its ring, the action `~/fit`, swaps and the way back."""

from __future__ import annotations

import threading
import time
from array import array
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')
pytest.importorskip('torch')

from action_msgs.msg import GoalStatus  # noqa: E402
from e4_ros.action import Fit  # noqa: E402
from e4_ros.msg import ExitTelemetry  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from e4_ros import extras  # noqa: E402
from e4_ros.evaluation.sources import open_source  # noqa: E402
from e4_ros.nodes.network import load  # noqa: E402
from e4_ros.nodes.perception import Perception  # noqa: E402
from e4_ros.perception import fit_process  # noqa: E402
from e4_ros.perception.key_frame_ring import KeyFrameRing, is_written, ring_files  # noqa: E402
from e4_ros.perception.ring_entry import decode_entry  # noqa: E402
from e4_ros.vision.bundle import read_manifest, shipped_bundle  # noqa: E402
from e4_ros.vision.bundle.folder import save_changed  # noqa: E402

pytestmark = pytest.mark.ros

PATIENCE_S = 120.0


def until(condition, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.01)


class Camera(Node):
    """Publishes `vtest` at half its size, round and round, and hears the telemetry."""

    def __init__(self, context) -> None:
        super().__init__('camera', context=context)
        frames = [frame for _, frame in islice(open_source('vtest'), 80)]
        self._frames = [cv2.resize(frame, (320, 240)) for frame in frames]
        self._images = self.create_publisher(Image, 'image', 100)
        self.heard: list[ExitTelemetry] = []
        self.create_subscription(
            ExitTelemetry, 'perception/exit_telemetry', self.heard.append, 1000
        )
        self.fit = ActionClient(self, Fit, 'perception/fit')
        self.feedback: list[Fit.Feedback] = []
        self.sent = 0

    def shoot(self, number: int = 1) -> None:
        """Send images, each when the one before is answered."""
        for _ in range(number):
            frame = self._frames[self.sent % len(self._frames)]
            message = Image(height=240, width=320, step=320 * 3, encoding='rgb8')
            message.data = array('B', frame.tobytes())
            self.sent += 1
            message.header.stamp.sec, tenth = divmod(self.sent, 10)
            message.header.stamp.nanosec = tenth * 100_000_000
            message.header.frame_id = 'front'
            self._images.publish(message)
            until(lambda: len(self.heard) == self.sent)

    def ask(self, **goal):
        """Send a goal; its handle."""
        assert self.fit.wait_for_server(PATIENCE_S)
        self.feedback.clear()
        future = self.fit.send_goal_async(
            Fit.Goal(**goal), feedback_callback=lambda m: self.feedback.append(m.feedback)
        )
        until(future.done)
        return future.result()


def result_of(handle):
    future = handle.get_result_async()
    until(future.done)
    return future.result().status, future.result().result


class Graph:
    """Perception with a ring, a camera, and the thread that spins both."""

    def __init__(self, context, ring: Path, **parameters) -> None:
        self.ring = ring
        values = {
            'threads': 1,
            'helper': '',
            'check_pay': False,
            'ring_mb': 30,
            'ring_dir': str(ring),
            'ring_share': 1.0,
            'fit_options': ['--steps', '3', '--epochs', '1', '--no-gates'],
            'reliability': 'reliable',
            'qos_overrides./image.subscription.depth': 100,
            **parameters,
        }
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.perception = Perception(context=context, parameter_overrides=overrides)
        self.camera = Camera(context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.perception)
        self._executor.add_node(self.camera)
        self._thread = threading.Thread(target=self._executor.spin)

    def __enter__(self) -> Graph:
        self._thread.start()
        until(lambda: self.camera._images.get_subscription_count() == 1)
        return self

    def __exit__(self, *_problem) -> None:
        self.in_executor(self.perception.stop)
        self._executor.shutdown()
        self._thread.join()
        self.perception.destroy_node()
        self.camera.destroy_node()

    def in_executor(self, work, *arguments) -> None:
        done = self._executor.create_task(work, *arguments)
        until(done.done)
        done.result()

    @property
    def network(self):
        return self.perception._network.get()

    @property
    def learning(self):
        return {pair.key: pair.value for pair in self.perception._learning.status().values}


@pytest.fixture
def graph(ros_context, tmp_path):
    with Graph(ros_context, tmp_path / 'ring') as made:
        yield made


def another_bundle(folder: Path) -> Path:
    """The bundle that ships, in another place."""
    there = shipped_bundle('pedestrian_ssdlite')
    manifest = read_manifest(there)
    cautious = manifest.calibrated(dict.fromkeys(manifest.thresholds, 0.8), manifest.calibration)
    return save_changed(there, cautious, {}, folder)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Exits that a test switches off are to stay on for the others."""
    monkeypatch.setenv('E4_CACHE', str(tmp_path_factory.mktemp('cache')))


def test_what_was_answered_lies_in_the_ring(graph):
    graph.camera.shoot(30)
    until(lambda: len(ring_files(graph.ring)) == 30)
    files = ring_files(graph.ring)
    entries = [decode_entry(file.path.read_bytes())[1] for file in files]
    assert [entry.stamp_s for entry in entries] == [pytest.approx(n / 10) for n in range(1, 31)]
    assert [entry.exit for entry in entries] == [heard.exit_name for heard in graph.camera.heard]
    assert {entry.frame_id for entry in entries} == {'front'}
    assert graph.learning['ring_entries'] == '30'


def test_without_a_ring_there_is_no_action(ros_context, tmp_path):
    with Graph(ros_context, tmp_path / 'ring', ring_mb=0) as graph:
        graph.camera.shoot(3)
        assert not graph.camera.fit.wait_for_server(0.5)
        assert not graph.ring.exists()


def test_a_ring_in_use_is_told_and_perception_goes_on(ros_context, tmp_path):
    other = KeyFrameRing(tmp_path / 'ring', 8)
    with Graph(ros_context, tmp_path / 'ring') as graph:
        graph.camera.shoot(3)
        assert 'another process writes' in graph.perception._learning.status().message
        status, result = result_of(graph.camera.ask())
        assert status == GoalStatus.STATUS_ABORTED
        assert 'another process writes' in result.message
    other.close()


def test_without_torch_a_goal_says_what_to_do(graph, monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, 'train', ('no_such_torch',))
    status, result = result_of(graph.camera.ask())
    assert status == GoalStatus.STATUS_ABORTED
    assert not result.success
    assert 'no_such_torch' in result.message
    assert '--from-ring' in result.message
    assert 'parameter model' in result.message


def test_too_few_frames_are_a_clear_failure(graph, monkeypatch):
    monkeypatch.setattr(fit_process, '_in_background', list)
    graph.camera.shoot(5)
    until(lambda: len(ring_files(graph.ring)) == 5)
    _, result = result_of(graph.camera.ask())
    assert 'fitting needs at least 40' in result.message or 'needs at least' in result.message


def test_a_goal_that_is_cancelled_leaves_nothing_behind(graph):
    graph.camera.shoot(50)
    handle = graph.camera.ask(frames=50)
    until(lambda: graph.perception._learning._fit is not None)
    until(lambda: graph.perception._learning._fit._process is not None)
    child = graph.perception._learning._fit._process
    assert not graph.camera.ask().accepted, 'two fits at once'
    until(handle.cancel_goal_async().done)
    status, result = result_of(handle)
    assert (status, result.message) == (GoalStatus.STATUS_CANCELED, 'cancelled')
    assert child.poll() is not None
    assert not list((graph.ring / 'fits').glob('*')) if (graph.ring / 'fits').exists() else True
    graph.camera.shoot(3)


def test_a_node_that_stops_ends_its_fit(ros_context, tmp_path):
    with Graph(ros_context, tmp_path / 'ring') as graph:
        graph.camera.shoot(50)
        graph.camera.ask()
        until(lambda: graph.perception._learning._fit is not None)
        until(lambda: graph.perception._learning._fit._process is not None)
        child = graph.perception._learning._fit._process
        assert is_written(graph.ring)
    assert child.poll() is not None
    assert not is_written(graph.ring)


def test_new_exits_are_fitted_judged_on_newer_frames_and_reported(graph, monkeypatch):
    monkeypatch.setattr(fit_process, '_in_background', list)
    graph.camera.shoot(60)
    until(lambda: len(ring_files(graph.ring)) == 60)
    driving = threading.Event()

    def drive() -> None:
        while not driving.is_set():
            graph.camera.shoot()
            time.sleep(0.1)

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        before = graph.network.path
        status, result = result_of(graph.camera.ask(frames=40, risk=0.9, confidence=0.5))
    finally:
        driving.set()
        thread.join()
    assert Path(result.bundle_path, 'bundle.json').is_file(), result.message
    assert result.frames_learned == 40
    assert result.frames_newer >= 15
    assert 0 <= result.f1_after <= 1
    assert 'newer frames' in result.message
    phases = [feedback.phase for feedback in graph.camera.feedback]
    assert 'teacher' in phases
    assert 'newer frames' in phases
    if result.success:
        assert status == GoalStatus.STATUS_SUCCEEDED
        assert graph.network.path == Path(result.bundle_path)
    else:
        assert status == GoalStatus.STATUS_ABORTED
        assert graph.network.path == before
    telemetry = graph.camera.heard[-1]
    assert telemetry.frames_received == telemetry.frames_processed + telemetry.frames_dropped


def test_a_swap_loses_no_frame(graph, tmp_path):
    """Every image that is sent gets its answer, whatever is swapped while it is on its way."""
    bundle = another_bundle(tmp_path / 'other')
    thread = threading.Thread(target=graph.camera.shoot, args=(100,))
    thread.start()
    answered_by = []
    while thread.is_alive():
        path = bundle if len(answered_by) % 2 == 0 else shipped_bundle('pedestrian_ssdlite')
        graph.in_executor(graph.perception._swap, load(graph.perception, str(path)))
        answered_by.append(graph.network.path)
    thread.join()
    assert len(set(answered_by)) == 2
    last = graph.camera.heard[-1]
    assert (last.frames_received, last.frames_processed, last.frames_dropped) == (100, 100, 0)


def test_exits_that_prove_bad_are_taken_back(graph, exits_bundle):
    before, bundle = graph.network.path, exits_bundle
    graph.perception._learning._history.before.append(before)
    network = load(graph.perception, str(bundle))
    graph.in_executor(graph.perception._swap, network)
    graph.camera.shoot(2)
    auditor = network.perceivers[0].engine.engine.auditor
    assert network.learnt
    for name in network.learnt:
        while name not in auditor.off:
            auditor.judge(name, 1.0)
    graph.camera.shoot(2)
    until(lambda: graph.network.path == before)
    assert 'proved worse than certified' in graph.learning['taken_back']
    graph.camera.shoot(3)
    assert not graph.network.perceivers[0].engine.off


def test_tracks_keep_their_ids_over_a_swap(graph, tmp_path):
    graph.camera.shoot(12)
    tracker = graph.network.perceivers[0].engine._tracks.tracker
    ids = set(tracker.answer().ids)
    assert ids, 'nobody was found'
    bundle = another_bundle(tmp_path / 'other')
    graph.in_executor(graph.perception._swap, load(graph.perception, str(bundle)))
    graph.camera.shoot(1)
    after = graph.network.perceivers[0].engine._tracks.tracker
    assert graph.network.path == bundle
    assert ids & set(after.answer().ids)


def test_the_disk_it_takes_is_bounded(ros_context, tmp_path):
    with Graph(ros_context, tmp_path / 'ring', ring_mb=8) as graph:
        noise = np.random.default_rng(0)
        graph.camera._frames = [noise.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(20)]
        graph.camera.shoot(80)
        until(lambda: int(graph.learning['ring_entries']) < 80)
        assert sum(file.bytes for file in ring_files(graph.ring)) <= 8_000_000
