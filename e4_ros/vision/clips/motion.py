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

"""What moved between two frames, as a frozen network's features tell it.

Features of single frames know nothing of motion, and a class pooled over the image not even of
place. So the map of an early stage is correlated with that of the frame before, within a few cells;
the best match, softly, is where each cell came from. After Kwon et al., "MotionSqueeze" (ECCV 2020,
arXiv 2007.09933), which trains through this step; here it has nothing to train and can be cached.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

CHANNELS = 4
RADIUS = 3  # how far, in cells, a displacement is looked for
_SHARPNESS = 30.0  # of the soft maximum over cosines


def motion_map(now: Tensor, before: Tensor) -> Tensor:
    """Displacement of every cell since the frame before.

    Args:
        now: feature maps ``(B, C, h, w)``.
        before: feature maps of the frames before, same shape.

    Returns:
        ``(B, 4, h, w)``: x and y of the displacement in cells, how sure that is (the cosine of the
        match less the mean cosine), and how much the cell itself changed (1 − cosine).
    """
    batch, _, height, width = now.shape
    side, wide = 2 * RADIUS + 1, width + 2 * RADIUS
    unit = F.normalize(now, dim=1).permute(0, 2, 3, 1)
    unit_before = F.pad(F.normalize(before, dim=1), [RADIUS] * 4).permute(0, 2, 1, 3)
    # Cosines of every cell of a row with every cell of a row before: a matrix product does more
    # than is needed, and takes half the time of one product for each displacement.
    rows = torch.stack([unit @ unit_before[:, dy : dy + height] for dy in range(side)], 1)
    # Only the band beside the diagonal is near enough: one more column a row, and it is upright.
    rows = F.pad(rows.reshape(batch, side * height, width * wide), [0, width])
    band = rows.reshape(batch, side, height, width, wide + 1)[..., :side]
    likeness = band.permute(0, 2, 3, 1, 4).reshape(batch, height, width, side * side)
    weights = (_SHARPNESS * likeness).softmax(3).reshape(batch, height, width, side, side)
    # A cell that was found to the left of here has moved to the right.
    offsets = torch.arange(RADIUS, -RADIUS - 1, -1, dtype=now.dtype, device=now.device)
    x = (weights.sum(3) * offsets).sum(3)
    y = (weights.sum(4) * offsets).sum(3)
    sure = likeness.amax(3) - likeness.mean(3)
    changed = 1 - likeness[..., side * side // 2]
    return torch.stack([x, y, sure, changed], 1)


def motion_macs(channels: int, height: int, width: int) -> int:
    """Multiply-accumulates that the displacements of one frame need.

    The matrix products of `motion_map` compute ``(width + 2 RADIUS) / (2 RADIUS + 1)`` times as
    many, most of them for cells that are too far apart.
    """
    return (2 * RADIUS + 1) ** 2 * channels * height * width
