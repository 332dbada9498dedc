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

"""Places detections in metres, in a frame that does not move, for navigation; a lifecycle node."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import ManagedEntity
from std_msgs.msg import Header

from e4_ros.bringup.node_parameters.obstacles import PARAMETERS
from e4_ros.msg import Detections
from e4_ros.nodes.conversions import seconds
from e4_ros.nodes.diagnostics import Diagnostics, status
from e4_ros.nodes.lifecycle import AutostartNode, run
from e4_ros.nodes.obstacle_inputs import Missing, ObstacleInputs, Sight
from e4_ros.nodes.obstacle_messages import to_arrays
from e4_ros.nodes.obstacle_outputs import ObstacleOutputs
from e4_ros.nodes.parameters import value
from e4_ros.nodes.troubles import Troubles
from e4_ros.perception.obstacles import ObstacleFinder, Settings


class ObstaclesNode(AutostartNode):
    """Turns detections into obstacles where tf, the camera's calibration and depth allow.

    Subscribes `perception/detections`, `camera_info`, `/tf`, `/tf_static`, and by its mode `depth`
    (with `depth/camera_info` where depth is of another frame) or `points`. Publishes
    `~/obstacles`, `~/points`, `/diagnostics`, and `~/detections_3d`, `~/markers`, `~/people` and
    `~/dynamic_obstacles` where their messages are installed.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._inputs: ObstacleInputs | None = None
        self._outputs: ObstacleOutputs | None = None
        self._finder = ObstacleFinder(Settings())
        self._counts: Counter[str] = Counter()
        self._took_s: deque[float] = deque(maxlen=100)
        super().__init__('obstacles', PARAMETERS, **kwargs)
        logger = self.get_logger()
        self._troubles = Troubles(logger.warning, logger.info)
        period_s = value(self, 'diagnostics_period_s')
        self._diagnostics = Diagnostics(self, period_s, self._statuses)

    def parts(self) -> Iterator[ManagedEntity]:
        """Outputs, then the inputs that come to them.

        Inactive, the node shows its topics; active, it also listens.
        """
        self._finder = ObstacleFinder(
            Settings(
                value(self, 'mode'),
                value(self, 'ground_z'),
                value(self, 'max_range_m'),
                value(self, 'box_sigma_px'),
                value(self, 'acceleration'),
            )
        )
        self._target = value(self, 'target_frame')
        self._classes = set(value(self, 'classes'))
        self._counts.clear()
        self._outputs = ObstacleOutputs(self)
        yield self._outputs
        yield self._diagnostics
        self._inputs = ObstacleInputs(self, self._process, self._drop, self._wrong)
        yield self._inputs

    def on_autostart_failed(self) -> None:
        """End: whoever started the process sees it, and may start it again."""
        self.exit_status = 1
        rclpy.try_shutdown(context=self.context)

    def _process(self, detections: Detections, sight: Sight, began_s: float) -> None:
        assert self._outputs is not None
        if self._classes:
            detections.detections = [
                item for item in detections.detections if item.class_name in self._classes
            ]
        found = self._finder.find(
            to_arrays(detections.detections),
            seconds(detections.header),
            sight.camera,
            sight.pose,
            sight.depth,
            sight.depth_camera,
        )
        header = Header(stamp=detections.header.stamp, frame_id=self._target)
        self._outputs.publish(found, detections, header)
        self._took_s.append(time.perf_counter() - began_s)
        self._counts['placed'] += 1
        self._troubles.end_all('obstacles go on')

    def _drop(self, _detections: Detections, missing: Missing) -> None:
        self._counts[f'dropped.{missing.kind}'] += 1
        self._troubles.begin(missing.kind, f'no obstacles: {missing}')

    def _wrong(self, text: str) -> None:
        self._troubles.begin('transform', f'a transform is left out: {text}')

    def _statuses(self) -> list[DiagnosticStatus]:
        placed = self._counts['placed']
        values: dict[str, object] = dict(self._counts)
        values |= {f'not_placed.{reason}': n for reason, n in self._finder.lost.items()}
        took_ms = 1e3 * float(np.median(self._took_s)) if self._took_s else math.nan
        values['latency_ms'] = f'{took_ms:.2f}'
        wrong = ' '.join(self._troubles.present)
        return [status('obstacles', wrong, f'{placed} images with obstacles placed', values)]


def main(args: list[str] | None = None) -> None:
    """Entry point of `ros2 run e4_ros obstacles`."""
    run(ObstaclesNode, args)


if __name__ == '__main__':
    main()
