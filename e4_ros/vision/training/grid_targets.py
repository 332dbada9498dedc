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

"""What a grid head is trained with: targets drawn from a teacher's boxes, and the losses.

Sources: Zhou et al., "Objects as Points" (arXiv 1904.07850) for the centre map and its loss; Tian
et al., "FCOS" (arXiv 1904.01355) for the distances to the four sides. `grid_boxes` reads the
outputs back into boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from e4_ros.vision.detections import Detections

_SURE, _DOUBTFUL = 0.5, 0.2  # a teacher's scores

BoxTarget = tuple[Tensor, Tensor, Tensor, Tensor]


def box_target(
    detections: Detections, classes: int, grid: tuple[int, int], size: tuple[int, int]
) -> BoxTarget:
    """Training target of one frame from a teacher's answer.

    What the teacher scores a half or more is an object; around what it doubts nothing is learned.

    Args:
        detections: boxes in pixels of an image of ``size``.
        classes: number of classes.
        grid: ``(h, w)``.
        size: ``(H, W)``.

    Returns:
        Centre map, weights of its cells, boxes in cells, indices of their cells.
    """
    scale = np.array([grid[1] / size[1], grid[0] / size[0]] * 2, np.float32)
    sure = detections.scores >= _SURE
    doubtful = ~sure & (detections.scores >= _DOUBTFUL)
    boxes, labels = torch.from_numpy(detections.boxes * scale), torch.from_numpy(detections.labels)
    centres, cells = centre_map(boxes[sure], labels[sure], classes, grid)
    doubts, _ = centre_map(boxes[doubtful], labels[doubtful], classes, grid)
    weight = torch.where(centres == 1, 1.0, 1 - doubts)
    return centres, weight, boxes[sure], cells


def box_loss(logits: Tensor, sides: Tensor, targets: Sequence[BoxTarget]) -> Tensor:
    """`centre_loss` plus `sides_loss` of a batch."""
    centres, weights, boxes, cells = zip(*targets, strict=True)
    frame = torch.repeat_interleave(torch.arange(len(boxes)), torch.tensor([len(b) for b in boxes]))
    return centre_loss(logits, torch.stack(centres), torch.stack(weights)) + sides_loss(
        sides, torch.cat(boxes), frame, torch.cat(cells)
    )


def centre_map(
    boxes: Tensor, labels: Tensor, classes: int, grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Training targets for one frame.

    Args:
        boxes: ``(N, 4)`` in cells of the grid.
        labels: ``(N,)``.
        classes: number of classes.
        grid: ``(h, w)``.

    Returns:
        The map ``(C, h, w)``, 1 at the cell of each centre and falling off as a Gaussian with the
        box's size, and the index of that cell ``(N,)`` in the flattened grid.
    """
    height, width = grid
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    column = centre[:, 0].long().clamp(0, width - 1)
    row = centre[:, 1].long().clamp(0, height - 1)
    sigma = ((boxes[:, 2:] - boxes[:, :2]) / 6).clamp(min=0.3)
    x = (torch.arange(width)[None] - column[:, None]) / sigma[:, :1]
    y = (torch.arange(height)[None] - row[:, None]) / sigma[:, 1:]
    blobs = torch.exp(-0.5 * (y[:, :, None] ** 2 + x[:, None, :] ** 2))
    target = torch.zeros(classes, height, width)
    for blob, label in zip(blobs, labels.tolist(), strict=True):
        target[label] = torch.maximum(target[label], blob)
    return target, row * width + column


def centre_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Penalty-reduced focal loss of centre maps, summed and divided by the number of centres.

    Args:
        logits: ``(B, C, h, w)``.
        target: the same shape, from `centre_map`.
        weight: the same shape, or None for 1 everywhere.
    """
    p = torch.sigmoid(logits)
    centre = target == 1
    loss = torch.where(
        centre,
        -((1 - p) ** 2) * F.logsigmoid(logits),
        -((1 - target) ** 4) * p**2 * F.logsigmoid(-logits),
    )
    if weight is not None:
        loss = loss * weight
    return loss.sum() / centre.sum().clamp(min=1)


def sides_loss(sides: Tensor, boxes: Tensor, frame: Tensor, cell: Tensor) -> Tensor:
    """Generalised IoU loss (arXiv 1902.09630) of the boxes predicted at their centres' cells.

    Args:
        sides: ``(B, 4, h, w)``.
        boxes: ``(N, 4)`` of all frames, in cells.
        frame: ``(N,)``, the frame in the batch that each box belongs to.
        cell: ``(N,)``, from `centre_map`.
    """
    width = sides.shape[-1]
    left, top, right, bottom = sides.flatten(2)[frame, :, cell].unbind(1)
    x, y = cell % width + 0.5, cell // width + 0.5
    predicted = torch.stack([x - left, y - top, x + right, y + bottom], 1)
    return generalized_box_iou_loss(predicted, boxes, reduction='sum') / max(len(boxes), 1)
