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

"""SIGINT and SIGTERM at any moment of a node's start, and homes that cannot be written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

pytestmark = pytest.mark.ros

PATIENCE_S = 1.0
NODES = {
    'perception': ['-p', "helper:=''", '-p', 'threads:=1'],
    'dvfs_helper': ['-p', 'board:=jetson_nano'],
    'obstacles': ['-p', 'mode:=ground', '-p', "camera_pose:='0 0 1 0 0 0'"],
    'recorder': ['-p', 'output:={}/x.mcap'],
    'video_source': ['-p', 'source:=bikes', '-p', 'loop:=true'],
}


@pytest.fixture
def start(ros_env, tmp_path, spawn):
    def begin(node: str, **variables: str) -> subprocess.Popen:
        words = [word.format(tmp_path) for word in NODES[node]]
        command = [sys.executable, '-m', 'e4_ros.nodes', node, '--ros-args', *words]
        return spawn(command, env=ros_env | variables)

    return begin


def listens(process: subprocess.Popen) -> bool:
    """Whether the process has begun to listen to signals: it catches SIGTERM."""
    status = Path(f'/proc/{process.pid}/status').read_text()
    caught = int(status.partition('SigCgt:')[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.001)


@pytest.mark.parametrize(
    ('node', 'number', 'delays_s'),
    [
        ('perception', signal.SIGINT, (0.0, 0.1, 0.2, 0.4, 0.7, 1.1, 1.7, 2.5, 4.0)),
        ('perception', signal.SIGTERM, (0.0, 0.3, 0.9, 2.0, 3.0)),
        ('dvfs_helper', signal.SIGINT, (0.0, 0.2, 0.6, 1.2)),
        ('obstacles', signal.SIGINT, (0.0, 0.2, 0.6, 1.2)),
        ('recorder', signal.SIGINT, (0.0, 0.2, 0.6, 1.2)),
        ('video_source', signal.SIGTERM, (0.0, 0.2, 0.6, 1.2)),
    ],
)
def test_a_signal_at_any_moment_of_the_start_ends_the_node(start, node, number, delays_s):
    for delay_s in delays_s:
        process = start(node)
        until(lambda process=process: listens(process))
        time.sleep(delay_s)
        process.send_signal(number)
        sent_s = time.monotonic()
        status = process.wait(30)
        took_s = time.monotonic() - sent_s
        words = process.stderr.read()
        assert 'Traceback' not in words, f'after {delay_s} s: {words}'
        assert 'rror' not in words, f'after {delay_s} s: {words}'
        assert status == 0, f'after {delay_s} s'
        assert took_s < PATIENCE_S, f'after {delay_s} s it took {took_s:.2f} s'


def test_perception_goes_on_without_a_home_that_can_be_written(start, ros_env, ros_context):
    import rclpy
    from sensor_msgs.msg import Image

    for name in ('E4_CACHE', 'XDG_CACHE_HOME', 'ROS_LOG_DIR', 'ROS_HOME'):
        ros_env.pop(name, None)
    camera = rclpy.create_node('camera', context=ros_context)
    image = camera.create_publisher(Image, 'image', 1)
    process = start('perception', HOME='/proc')
    until(lambda: image.get_subscription_count() == 1 or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    status, words = process.wait(30), process.stderr.read()
    camera.destroy_node()
    assert status == 0, words
    assert words.count('set E4_CACHE') == 1
    assert words.count('set ROS_LOG_DIR') == 1
