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

"""Perception with a detector that somebody brought as an ONNX file."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from array import array

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from e4_ros.msg import Detections  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from e4_ros.nodes.perception import Perception  # noqa: E402

pytestmark = pytest.mark.ros


def until(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))


@pytest.fixture
def seen_by(ros_context):
    """Starts perception with a model and a camera; returns what was published of one image."""
    executor = SingleThreadedExecutor(context=ros_context)
    thread = threading.Thread(target=executor.spin)
    nodes = []

    def start(model, frame: np.ndarray):
        overrides = {
            'model': str(model), 'threads': 1, 'helper': '', 'diagnostics_period_s': 0.1,
            'reliability': 'reliable',
        }  # fmt: skip
        perception = Perception(
            context=ros_context,
            parameter_overrides=[Parameter(n, value=v) for n, v in overrides.items()],
        )
        robot = rclpy.create_node('robot', context=ros_context)
        nodes.extend((perception, robot))
        heard: dict[type, list] = {Detections: [], DiagnosticArray: []}
        robot.create_subscription(Detections, 'perception/detections', heard[Detections].append, 9)
        robot.create_subscription(DiagnosticArray, '/diagnostics', heard[DiagnosticArray].append, 9)
        camera = robot.create_publisher(Image, 'image', 10)
        executor.add_node(perception)
        executor.add_node(robot)
        thread.start()
        until(lambda: camera.get_subscription_count() == 1)
        height, width = frame.shape[:2]
        message = Image(height=height, width=width, encoding='rgb8', step=3 * width)
        message.data = array('B', frame.tobytes())
        for second in range(1, 4):
            message.header.stamp.sec = second
            camera.publish(message)
            until(lambda second=second: len(heard[Detections]) == second)
        until(lambda: any(a.status for a in heard[DiagnosticArray]))
        return heard[Detections][-1], heard[DiagnosticArray]

    yield start
    executor.shutdown()
    if thread.is_alive():
        thread.join()
    for node in nodes:
        if isinstance(node, Perception):
            node.stop()
        node.destroy_node()


def test_a_file_finds_its_own_classes_and_boxes_lie_where_the_objects_are(
    tmp_path, lamp_detector, seen_by
):
    file = lamp_detector(tmp_path / 'lamps.onnx')
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[80:240, 160:320] = 255  # one cell of 16 in 64: the frame lies in its middle
    answer, diagnostics = seen_by(file, frame)
    assert answer.model.startswith('lamps-')
    (found,) = answer.detections
    assert found.class_name == 'lamp'
    assert found.score > 0.9
    assert list(found.box) == pytest.approx([160, 80, 320, 240], abs=1)
    (network,) = [s for s in diagnostics[-1].status if s.name.endswith('network')]
    assert {'model', 'bundle'} <= {pair.key for pair in network.values}


@pytest.mark.parametrize(
    ('spoil', 'said'),
    [
        (lambda content: content[: len(content) // 2], 'lamps.onnx'),
        (lambda content: b'not a network', 'lamps.onnx'),
    ],
)
def test_a_file_that_is_none_ends_perception_with_a_sentence(
    tmp_path, lamp_detector, ros_env, spoil, said
):
    file = lamp_detector(tmp_path / 'lamps.onnx')
    file.write_bytes(spoil(file.read_bytes()))
    command = [sys.executable, '-m', 'e4_ros.nodes', 'perception', '--ros-args']
    command += ['-p', f'model:={file}', '-p', 'helper:=""']
    env = ros_env | {'E4_CACHE': str(tmp_path / 'cache')}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
    told = done.stdout + done.stderr
    assert done.returncode == 1
    (line,) = [line for line in told.splitlines() if 'cannot be configured' in line]
    assert said in line
    assert 'Traceback' not in told
