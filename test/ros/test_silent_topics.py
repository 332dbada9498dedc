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

"""What /diagnostics says about an image topic that brings nothing."""

from __future__ import annotations

import time

import pytest

pytest.importorskip('rclpy')

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from e4_ros.nodes.diagnostics import why_silent


@pytest.mark.parametrize(
    ('published', 'says'),
    [
        (None, 'nobody publishes /camera: check'),
        ('/camera/compressed', 'but /camera/compressed is there: set image_transport'),
        ('/camera/ffmpeg', 'republish ffmpeg raw --ros-args -r in/ffmpeg:=/camera/ffmpeg'),
    ],
)
def test_what_is_published_in_its_place_is_named(ros_context, published, says):
    node = Node('listener', context=ros_context)
    try:
        if published is not None:
            kind = CompressedImage if published.endswith('compressed') else String
            node.create_publisher(kind, published, 1)
            deadline = time.monotonic() + 20
            while not node.count_publishers(published) and time.monotonic() < deadline:
                time.sleep(0.05)
        assert says in why_silent(node, '/camera', silence_s=10.0)
        assert why_silent(node, '/camera', silence_s=1.0) == ''
    finally:
        node.destroy_node()
