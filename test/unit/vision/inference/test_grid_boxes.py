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

import numpy as np
import pytest
import torch

from e4_ros.vision.inference.grid_boxes import decode, decode_from_input
from e4_ros.vision.models.preprocessing import Letterbox
from e4_ros.vision.training.grid_targets import centre_loss, centre_map, sides_loss

GRID = (12, 16)
FRAME = (120, 320, 3)  # a cell is 20 wide and 10 high


def encoded(boxes):
    """Perfect outputs for boxes in cells, made by the training targets."""
    boxes = torch.tensor(boxes, dtype=torch.float32)
    labels = torch.zeros(len(boxes), dtype=torch.long)
    target, cells = centre_map(boxes, labels, 1, GRID)
    sides = torch.zeros(4, *GRID)
    for box, cell in zip(boxes, cells, strict=True):
        row, column = divmod(cell.item(), GRID[1])
        x, y = column + 0.5, row + 0.5
        sides[:, row, column] = torch.stack([x - box[0], y - box[1], box[2] - x, box[3] - y])
    return target, sides, cells


def test_targets_decode_to_the_boxes_they_were_made_from():
    boxes = [[1.2, 2.0, 3.6, 8.0], [9.0, 1.0, 11.0, 6.5]]
    target, sides, _ = encoded(boxes)
    detections = decode((target == 1).float().numpy(), sides.numpy(), FRAME, 0.5)
    expected = np.array(boxes) * [20, 10, 20, 10]
    np.testing.assert_allclose(np.sort(detections.boxes, 0), np.sort(expected, 0), rtol=1e-5)


def test_a_grid_over_a_letterbox_answers_for_the_frame():
    letterbox = Letterbox(size=(96, 128), centred=True, mean=(0, 0, 0), std=(1, 1, 1))
    placement = letterbox.place((150, 400, 3))  # rows 24 to 72 of the input, 0.32 of its pixels
    target, sides, _ = encoded([[2.0, 4.0, 6.0, 8.0], [8.0, 0.0, 9.0, 1.0]])
    peaks = (target == 1).float().numpy()
    found = decode_from_input(peaks, sides.numpy(), (96, 128), placement, 0.5)
    np.testing.assert_allclose(found.boxes, [[50, 25, 150, 125]], rtol=1e-5)


def test_boxes_end_at_the_frame_and_doubles_are_merged():
    peaks = np.zeros((1, *GRID), np.float32)
    peaks[0, 5, 7], peaks[0, 5, 9] = 0.9, 0.8
    detections = decode(peaks, np.full((4, *GRID), 30, np.float32), FRAME, 0.2)
    np.testing.assert_array_equal(detections.boxes, [[0, 0, 320, 120]])
    assert detections.scores == pytest.approx([0.9])


def test_same_place_different_class_both_stay():
    peaks = np.zeros((2, *GRID), np.float32)
    peaks[:, 5, 7] = 0.9, 0.8
    detections = decode(peaks, np.ones((4, *GRID), np.float32), FRAME, 0.2)
    assert detections.labels.tolist() == [0, 1]


def test_nothing_above_the_score_is_no_answer():
    none = np.zeros((1, *GRID), np.float32)
    assert len(decode(none, np.ones((4, *GRID), np.float32), FRAME, 0.2)) == 0


def test_losses_are_least_at_the_target():
    target, sides, cells = encoded([[1.2, 2.0, 3.6, 8.0]])
    right = torch.where(target == 1, 8.0, -8.0)[None]
    assert centre_loss(right, target[None]) < 0.01 < centre_loss(-right, target[None])
    boxes, frame = torch.tensor([[1.2, 2.0, 3.6, 8.0]]), torch.tensor([0])
    assert sides_loss(sides[None], boxes, frame, cells).item() == pytest.approx(0, abs=1e-5)
    assert sides_loss(sides[None] + 1, boxes, frame, cells) > 0.1


def test_frame_without_objects_has_a_finite_loss():
    target, cells = centre_map(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), 1, GRID)
    logits = torch.zeros(1, 1, *GRID, requires_grad=True)
    sides = torch.ones(1, 4, *GRID, requires_grad=True)
    none = torch.zeros(0, dtype=torch.long)
    loss = centre_loss(logits, target[None]) + sides_loss(sides, torch.zeros(0, 4), none, cells)
    loss.backward()
    assert torch.isfinite(loss)
