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

"""Publishes a video, a folder of images, a bag's images or a camera as a camera would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import rclpy
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from e4_ros.bringup.node_parameters.video_source import PARAMETERS
from e4_ros.evaluation.sources import Source, open_source
from e4_ros.evaluation.sources.pacing import Pace, Player
from e4_ros.nodes import conversions
from e4_ros.nodes.lifecycle import run
from e4_ros.nodes.parameters import E4Node, value


class VideoSource(E4Node):
    """Publishes `image` (sensor_msgs/Image, rgb8) and, while someone listens, `image/compressed`.

    Stamps come from the node's clock at the moment of publishing.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('video_source', **kwargs)
        self.declare_all(PARAMETERS)
        self.published = 0
        self._source: Source = open_source(value(self, 'source'))
        self._stamps = _open_stamps(value(self, 'stamps_file'))
        qos = QoSProfile(depth=5)
        overrides = QoSOverridingOptions.with_default_policies()
        self._image = self.create_publisher(Image, 'image', qos, qos_overriding_options=overrides)
        self._jpeg = self.create_publisher(
            CompressedImage, 'image/compressed', qos, qos_overriding_options=overrides
        )
        self._player = Player(
            self._frames,
            self._publish,
            Pace(loop=value(self, 'loop')),
            self._someone_listens,
            self._finished,
        )
        self._player.start()

    def stop(self) -> None:
        """End the play and say how much was published."""
        self._player.stop()
        if self._stamps is not None:
            self._stamps.close()
        self.get_logger().info(f'published {self.published} images of {self._source.name}')

    def _frames(self) -> Iterator[tuple[float, np.ndarray]]:
        rate, most = value(self, 'rate'), value(self, 'frames')
        for index, (stamp_s, frame) in enumerate(self._source):
            if most and self.published >= most:
                return
            yield (index / rate if rate else stamp_s), frame

    def _someone_listens(self) -> bool:
        topics = {'image': self._image, 'image/compressed': self._jpeg}
        awaited = topics.get(value(self, 'wait_for_subscriber'))
        return awaited is None or awaited.get_subscription_count() > 0

    def _publish(self, _time_s: float, frame: np.ndarray) -> None:
        header = Header(
            stamp=self.get_clock().now().to_msg(), frame_id=str(value(self, 'frame_id'))
        )
        self._image.publish(conversions.to_image(frame, header))
        if self._jpeg.get_subscription_count():
            quality = value(self, 'jpeg_quality')
            self._jpeg.publish(conversions.to_jpeg(frame, header, quality))
        if self._stamps is not None:
            stamp_ns = header.stamp.sec * 10**9 + header.stamp.nanosec
            print(f'{self.published},{stamp_ns}', file=self._stamps, flush=True)
        self.published += 1

    def _finished(self, error: Exception | None) -> None:
        if error is not None:
            self.exit_status = 1
            self.get_logger().error(f'the source ended with: {error}')
        if not value(self, 'exit_at_end'):
            self.get_logger().info('the source is at its end')
            return
        self._image.wait_for_all_acked(Duration(seconds=2))
        rclpy.try_shutdown()


def _open_stamps(path: str) -> TextIO | None:
    if not path:
        return None
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return Path(path).open('w')


def main(args: list[str] | None = None) -> None:
    """Entry point of `ros2 run e4_ros video_source`."""
    run(VideoSource, args)


if __name__ == '__main__':
    main()
