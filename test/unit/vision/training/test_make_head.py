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

from __future__ import annotations

import pytest
import torch

from e4_ros.vision.class_map import ClassMap
from e4_ros.vision.inference import grid_boxes
from e4_ros.vision.nets.heads import Answering, ClassHead, GridHead
from e4_ros.vision.networks.torch_costs import module_cost
from e4_ros.vision.training.make_head import make_head


@pytest.mark.parametrize(
    ('saved_macs', 'size'), [(2e9, (64, 1)), (600e6, (32, 1)), (240e6, (32, 2)), (1e6, (32, 2))]
)
def test_a_head_costs_an_eighth_of_what_it_saves_if_one_does(saved_macs, size):
    shape = (64, 80, 80)
    head = make_head('detect', shape, 80, ClassMap((0, 2)), saved_macs=saved_macs)
    assert (head.settings['width'], head.settings['stride']) == size
    assert head.settings['classes'] == 2
    small = module_cost(head.eval(), torch.zeros(1, *shape)).macs <= saved_macs / 8
    assert small == (saved_macs > 1e6)


def test_a_map_that_two_does_not_divide_keeps_its_grid():
    head = make_head('detect', (24, 75, 75), 1, saved_macs=1e6)
    assert isinstance(head, GridHead)
    assert (head.settings['width'], head.grid((24, 75, 75))) == (32, (75, 75))


@pytest.mark.parametrize('stride', [1, 2])
def test_cells_of_every_stride_cover_the_picture(stride):
    """The bias alone draws small boxes, one in the middle of each cell."""
    head = GridHead(4, 1, width=8, depth=1, stride=stride).eval()
    with torch.no_grad():
        head.sides.bias.fill_(-1)
        peaks, sides = Answering(head)(torch.zeros(1, 4, 8, 12))
    assert peaks.shape[2:] == head.grid((4, 8, 12)) == (8 // stride, 12 // stride)
    found = grid_boxes.decode(peaks[0].numpy(), sides[0].numpy(), (80, 120), 0.0)
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert len(found)
    assert centres % (10 * stride) == pytest.approx(5 * stride, abs=1e-3)


def test_a_classifier_has_a_head_to_classes():
    assert isinstance(make_head('classify', (8, 4, 4), 5), ClassHead)
