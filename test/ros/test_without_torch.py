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

"""A running perception has loaded none of the big libraries that only training and tools need."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

pytestmark = pytest.mark.ros

RUN = """
import sys
import time
from array import array

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from e4_ros.msg import Detections
from e4_ros.nodes.perception import Perception

rclpy.init()
node, camera, heard = Perception(), Node('camera'), []
camera.create_subscription(Detections, 'perception/detections', heard.append, 10)
images = camera.create_publisher(Image, 'image', 10)
picture = Image(height=120, width=160, encoding='rgb8', step=480, data=array('B', bytes(57600)))
executor = SingleThreadedExecutor()
executor.add_node(node)
executor.add_node(camera)
end_s = time.monotonic() + 60
while len(heard) < 3 and time.monotonic() < end_s:
    picture.header.stamp = camera.get_clock().now().to_msg()
    images.publish(picture)
    executor.spin_once(timeout_sec=0.1)
heavy = {'torch', 'torchvision', 'av', 'rosbags', 'safetensors', 'scipy'} & set(sys.modules)
print('answers', min(len(heard), 3), sorted(heavy))
node.stop()
"""


def test_perception_runs_without_torch(tmp_path):
    result = subprocess.run(
        [sys.executable, '-c', RUN], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert 'answers 3 []' in result.stdout, result.stdout + result.stderr
