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

"""The least that a process with these networks must do: import, load, run once.

Run as a script with the ONNX files as arguments, so that nothing of this package is imported. With
``--node`` it is a ROS node as well, and runs on the first image that it receives.
"""

import sys

import cv2  # noqa: F401
import numpy as np
import onnxruntime
import rclpy


def _sessions(paths):
    return [
        onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider']) for path in paths
    ]


def _run(sessions):
    for session in sessions:
        session.run(None, {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()})
    print('done', flush=True)


def _run_as_node(paths):
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node('bare')
    images: list[Image] = []
    sessions = _sessions(paths)
    node.create_subscription(Image, 'image', images.append, 5)
    while not images:
        rclpy.spin_once(node, timeout_sec=0.1)
    _run(sessions)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == '__main__':
    if sys.argv[1] == '--node':
        _run_as_node(sys.argv[2:])
    else:
        _run(_sessions(sys.argv[1:]))
