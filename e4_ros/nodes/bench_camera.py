"""The other side of `e4 bench start` and `e4 bench frame`: a camera that watches perception.

It publishes a picture at a steady rate and prints one line of JSON for each thing it sees, with the
time of CLOCK_MONOTONIC, which all processes of a machine share: that it is ready, that the node
`perception` is in the graph, and that the first detections came. It ends with its standard input.
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
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
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
    """

    def __init__(self, size: tuple[int, int], rate_hz: float, name: str = '') -> None:
        super().__init__(f'bench_camera_{name}' if name else 'bench_camera')
        below = f'{name}/' if name else ''
        self._picture = conversions.to_image(picture(*size), Header(frame_id=name or 'camera'))
        # Reliable: half of the images of this size get lost on the way within a machine otherwise.
        self._images = self.create_publisher(Image, f'{below}image', 5)
        self.create_subscription(Detections, f'{_WATCHED}/{below}detections', self._answered, 10)
        steady_timer(self, 1 / rate_hz, self._publish)
        self._look = steady_timer(self, _LOOK_S, self._watch)
        self._told: set[str] = set()

    def _publish(self) -> None:
        self._picture.header.stamp = self.get_clock().now().to_msg()
        self._images.publish(self._picture)

    def _watch(self) -> None:
        if _WATCHED in self.get_node_names():
            self._look.cancel()
            self._tell('visible')

    def _answered(self, _: Detections) -> None:
        self._tell('first_detection')

    def _tell(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            tell(what)


def tell(what: str) -> None:
    """Print an event with its time."""
    print(json.dumps({'event': what, 'at_s': time.monotonic()}), flush=True)


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
    given = parser.parse_args(args)
    rclpy.init(args=[])
    node = BenchCamera((given.width, given.height), given.rate, given.name)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    ended = threading.Event()
    threading.Thread(target=_until_input_ends, args=(ended,), daemon=True).start()
    tell('ready')
    while not ended.is_set():
        executor.spin_once(timeout_sec=0.05)
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == '__main__':
    main()
