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

"""The other side of benchmarks of perception: a camera that watches it.

It publishes a picture at a steady rate and prints one line of JSON for each thing it sees, with the
time of CLOCK_MONOTONIC, which all processes of a machine share: that it is ready, that the node
`perception` is in the graph, and that the first detections came. It ends with its standard input,
and says last how many images it has sent while somebody listened.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time

import cv2
import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from e4_ros.msg import Detections
from e4_ros.nodes import conversions
from e4_ros.nodes.timers import steady_timer

_WATCHED = 'perception'
_LOOK_S = 0.005  # how exactly the graph is watched


class BenchCamera(Node):
    """Publishes `image` and says when perception shows itself.

    Args:
        size: width and height of the picture, pixels.
        rate_hz: images a second.
        name: of one of several cameras; empty for the only one.
        reliability: that its publisher offers.
        transport: ``raw`` or ``compressed``.
        cycle_s: seconds after which perception is deactivated and activated again; 0: never.

    Attributes:
        sent: images that were published while somebody listened.
        cycles: how often perception was active again.
    """

    def __init__(
        self,
        size: tuple[int, int],
        rate_hz: float,
        name: str = '',
        reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
        transport: str = 'raw',
        cycle_s: float = 0.0,
    ) -> None:
        super().__init__(f'bench_camera_{name}' if name else 'bench_camera')
        below = f'{name}/' if name else ''
        self.sent = self.cycles = 0
        self._picture = _message(picture(*size), Header(frame_id=name or 'camera'), transport)
        topic = f'{below}image' if transport == 'raw' else f'{below}image/{transport}'
        offered = QoSProfile(depth=5, reliability=reliability)
        self._images = self.create_publisher(type(self._picture), topic, offered)
        self.create_subscription(Detections, f'{_WATCHED}/{below}detections', self._answered, 10)
        steady_timer(self, 1 / rate_hz, self._publish)
        self._look = steady_timer(self, _LOOK_S, self._watch)
        self._told: set[str] = set()
        self._change = self.create_client(ChangeState, f'{_WATCHED}/change_state')
        if cycle_s:
            steady_timer(self, cycle_s, self._deactivate)

    def _publish(self) -> None:
        self._picture.header.stamp = self.get_clock().now().to_msg()
        self._images.publish(self._picture)
        self.sent += self._images.get_subscription_count() > 0

    def _watch(self) -> None:
        if _WATCHED in self.get_node_names():
            self._look.cancel()
            self._tell('visible')

    def _deactivate(self) -> None:
        self._ask(Transition.TRANSITION_DEACTIVATE).add_done_callback(self._activate)

    def _activate(self, _: Future) -> None:
        self._ask(Transition.TRANSITION_ACTIVATE).add_done_callback(self._count)

    def _count(self, done: Future) -> None:
        self.cycles += done.result().success

    def _ask(self, transition: int) -> Future:
        request = ChangeState.Request(transition=Transition(id=transition))
        return self._change.call_async(request)

    def _answered(self, _: Detections) -> None:
        self._tell('first_detection')

    def _tell(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            tell(what)


def tell(what: str, **more: int) -> None:
    """Print an event with its time, and what else there is to say of it."""
    print(json.dumps({'event': what, 'at_s': time.monotonic(), **more}), flush=True)


def _message(rgb: np.ndarray, header: Header, transport: str) -> Image | CompressedImage:
    if transport == 'raw':
        return conversions.to_image(rgb, header)
    _, data = cv2.imencode('.jpg', rgb[..., ::-1])
    return CompressedImage(header=header, format='rgb8; jpeg compressed bgr8', data=data.tobytes())


def picture(width: int, height: int) -> np.ndarray:
    """An ``(H, W, 3)`` uint8 picture with edges and surfaces of many sizes, always the same."""
    rng, layers = np.random.default_rng(0), np.zeros((height, width, 3), np.float32)
    for cells in (3, 12, 48):
        coarse = rng.random((cells, cells, 3), np.float32)
        layers += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    return (layers * 85).astype(np.uint8)


def _until_input_ends(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def main(args: list[str] | None = None) -> None:
    """Publish until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--width', type=int, default=640)
    parser.add_argument('--height', type=int, default=480)
    parser.add_argument('--rate', type=float, default=15.0)
    parser.add_argument('--name', default='')
    parser.add_argument('--reliability', choices=('reliable', 'best_effort'), default='reliable')
    parser.add_argument('--transport', choices=('raw', 'compressed'), default='raw')
    parser.add_argument('--cycle', type=float, default=0.0, help='seconds')
    given = parser.parse_args(args)
    rclpy.init(args=[])
    reliability = ReliabilityPolicy[given.reliability.upper()]
    size = given.width, given.height
    node = BenchCamera(size, given.rate, given.name, reliability, given.transport, given.cycle)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    ended = threading.Event()
    threading.Thread(target=_until_input_ends, args=(ended,), daemon=True).start()
    tell('ready')
    while not ended.is_set():
        executor.spin_once(timeout_sec=0.05)
    tell('sent', count=node.sent, cycles=node.cycles)
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == '__main__':
    main()
