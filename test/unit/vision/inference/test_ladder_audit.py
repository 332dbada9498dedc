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

"""What is judged below the tracks is the learnt exit's own answer, and a pass is a whole frame."""

import numpy as np
import pytest

from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.frame_result import FrameResult
from e4_ros.vision.inference.ladder import Ladder
from e4_ros.vision.inference.offload_port import NO_PORT

FRAME = np.zeros((120, 160, 3), np.uint8)
RAW = Detections.of(np.array([[10, 10, 40, 80]]), np.array([0.6]))


class Network:
    """Three segments and an exit, whose audits keep what they were asked."""

    model = None
    port = NO_PORT
    handed_over = False

    def __init__(self):
        self.asked = []

    def process(self, frame, stamp_s, on_segment, prior, asked):
        return FrameResult(RAW, 'temporal', 0.0, {'temporal': 1.0}, [0.001], 0.001)

    def audit(self, frame, result, on_segment):
        self.asked.append(result)
        for index in range(3):
            on_segment(index)


def test_a_pass_begins_with_the_first_segment_and_the_exits_own_answer_is_judged():
    network, begun = Network(), []
    ladder = Ladder(network, 0.1, 0.3)
    result = ladder.process(FRAME, 0.0)
    assert result.detections.ids is not None  # the tracker's
    assert result.detections.scores == pytest.approx([0.44])  # .5 of an exit is .3 of the network
    ladder.audit(FRAME, result, begun.append)
    assert network.asked[0].detections is RAW
    assert network.asked[0].exit == 'temporal'
    assert begun == [0, 1, 2, 3]


def test_an_audit_goes_on_while_tracks_answer():
    network, begun = Network(), []
    ladder = Ladder(network, 0.1, 0.3)
    said = ladder.process(FRAME, 0.0).detections
    result = FrameResult(said, 'track', 0.0, {}, [0.001], 0.001)
    ladder.audit(FRAME, result, begun.append)
    assert network.asked[0].exit == 'track'
    assert begun == [0, 1, 2, 3]
