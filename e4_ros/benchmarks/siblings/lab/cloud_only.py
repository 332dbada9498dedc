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

"""A robot that computes nothing itself: a JPEG of each frame goes to the server, and it waits.

The baseline that everybody builds first. It takes the same argument and orders as `lab.robot` and
tells the same lines; a frame without an answer in time is answered by nothing. While it waits,
newer images replace each other.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from e4_ros.benchmarks.siblings.lab.film import turn
from e4_ros.benchmarks.siblings.lab.frames import AnsweredFrame, Sent
from e4_ros.benchmarks.siblings.lab.robot import Image, RobotOptions, Worker, edge_client
from e4_ros.offload.exchange import ANSWERED, Answer, Request
from e4_ros.offload.request import EDGE, ROBOT
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.detections import Detections

_POLL_S = 0.001


class _CloudOnly(Worker):
    def __init__(self, options: RobotOptions) -> None:
        super().__init__(options)
        self._offload = options.asks_for
        setup = set_up(EngineOptions(options.model, exits=False, threads=options.threads))
        self.client = edge_client(options, setup)
        self._min_score = EngineOptions.min_score
        self.client.start()

    def answer(self, image: Image) -> AnsweredFrame:
        """Send it and wait."""
        frame = np.array(self.frames[turn(image.number, len(self.frames))])
        began_s = time.monotonic()
        request = Request(
            image.number / self.options.stamp_rate, self._offload, began_s, frame.shape,
            frame=frame, min_score=self._min_score,
        )  # fmt: skip
        found = self._await(request) if self.client.send(request) else None
        ended_s = time.monotonic()
        answered = found is not None and found.detections is not None and not found.late
        return AnsweredFrame(
            number=image.number,
            arrived_s=image.arrived_s,
            waited_s=began_s - image.arrived_s,
            latency_s=ended_s - began_s,
            place=EDGE if answered else ROBOT,
            exit='edge' if answered else 'none',
            answer=found.detections.above(self._min_score)
            if answered and found is not None and found.detections is not None
            else Detections.empty(),
            sent_bytes=0 if found is None else found.sent_bytes,
            requests=[] if found is None else [self._sent(found, began_s)],
            link_up=self.client.link.up,
        )

    def _sent(self, found: Answer, began_s: float) -> Sent:
        in_time = found.status == ANSWERED and not found.late
        total_s = found.arrived_s - began_s
        return Sent(
            found.status, in_time, self._offload.service, found.sent_bytes, total_s, found.legs_s
        )

    def _await(self, request: Request) -> Answer | None:
        while time.monotonic() < request.deadline_s:
            for came in self.client.take():
                if came.stamp_s == request.stamp_s:
                    return came
            time.sleep(_POLL_S)
        return None


if __name__ == '__main__':
    robot = _CloudOnly(RobotOptions(**json.loads(sys.argv[1])))
    robot.run(robot.client)
