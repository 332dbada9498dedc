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

"""A frame's modelled joules: remembered, and the same as worked out anew."""

from __future__ import annotations

import pytest

from e4_ros.energy.board_model import BoardModel, Cost, SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.perception import frame_energy
from e4_ros.perception.frame_energy import FrameEnergy, cost_at, waiting_j

WORKS = [SegmentWork('prepare', 1e6, 1e6), SegmentWork('stage0', 1e9, 5e6)]
LOW, HIGH = ({'cpu': 729_600_000, 'gpu': hz, 'camera': 1} for hz in (306_000_000, 624_750_000))


@pytest.fixture(scope='module')
def model():
    return BoardModel(load_board('jetson_orin_nano'))


def test_what_is_remembered_is_what_the_model_says(model):
    energy = FrameEnergy(model, WORKS)
    for _ in range(2):
        for points in ([LOW, HIGH], [HIGH, LOW], [HIGH, HIGH]):
            assert energy.frame([0, 1], points) == cost_at(model, WORKS, points)
        assert energy.frame([0], [LOW]) == cost_at(model, WORKS[:1], [LOW])
        assert energy.wait_j(LOW, 0.1) == pytest.approx(waiting_j(model, LOW, 0.1))
        assert energy.wait_j(HIGH, 0.1) > energy.wait_j(LOW, 0.1) > energy.wait_j(LOW, 0) == 0
        asleep_w, awake_w = energy.wait_j(HIGH, 1.0), energy.wait_j(HIGH, 0.01) / 0.01
        assert asleep_w < awake_w


def test_the_model_is_asked_once_a_point(model, monkeypatch):
    energy, asked = FrameEnergy(model, WORKS), []
    monkeypatch.setattr(model, 'segment_cost', lambda *a: asked.append(a) or Cost(1.0, 2.0))
    for _ in range(5):
        energy.frame([0, 1], [LOW, dict(HIGH)])
    assert len(asked) == 2


def test_clocks_that_never_repeat_do_not_fill_the_memory(model, monkeypatch):
    monkeypatch.setattr(frame_energy, '_MOST', 4)
    energy = FrameEnergy(model, WORKS)
    for hertz in range(10):
        point = {'cpu': 729_600_000 + hertz}
        assert energy.frame([0], [point]) == cost_at(model, WORKS[:1], [point])
    assert len(energy._frames) <= 4
