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

"""torchvision's detectors up to their heads' raw outputs, for one image of a fixed size.

What torchvision does before (resizing) and behind (scores, boxes, suppression) depends on the image
and has no static shape; here preprocessing and decoder do it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList


class DenseHeads(nn.Module):
    """A one-stage detector: what its heads say of every anchor.

    Args:
        detector: an SSD, RetinaNet or FCOS of torchvision.
        outputs: torchvision's names of the heads' outputs, in the order in which they are given.
    """

    def __init__(self, detector: Any, outputs: Sequence[str]) -> None:
        super().__init__()
        self.backbone, self.head = detector.backbone, detector.head
        self._outputs = tuple(outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """``(1, 3, H, W)`` to one ``(1, A, ...)`` for each output."""
        found = self.head(list(self.backbone(x).values()))
        return tuple(found[name] for name in self._outputs)


class ProposalHeads(nn.Module):
    """A two-stage detector: what its box head says of a fixed number of proposals.

    Suppression among proposals belongs to the network, since its box head reads what is left. Where
    fewer are left than the detector may keep, proposals without area follow.

    Args:
        detector: a Faster R-CNN of torchvision.
        size: height and width of the input.
    """

    def __init__(self, detector: Any, size: tuple[int, int]) -> None:
        super().__init__()
        self.backbone, self.rpn, self.heads = detector.backbone, detector.rpn, detector.roi_heads
        self._size, self._most = size, detector.rpn.post_nms_top_n()
        image = torch.zeros(1, 3, *size)
        with torch.inference_mode():
            features = list(self.backbone(image).values())
            (anchors,) = self.rpn.anchor_generator(ImageList(image, [size]), features)
        self.rpn.anchor_generator = _FixedAnchors(anchors.clone())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(1, 3, H, W)`` to logits ``(P, C)``, box offsets ``(P, 4 C)`` and proposals ``(P, 4)``.

        Proposals are x0, y0, x1, y1 in pixels of the input.
        """
        features = self.backbone(x)
        (found,), _ = self.rpn(ImageList(x, [self._size]), features)
        filled = torch.cat([found, found.new_zeros(self._most, 4)])[: self._most]
        proposals = filled.reshape(self._most, 4)  # says the shape where the graph alone does not
        pooled = self.heads.box_roi_pool(features, [proposals], [self._size])
        pooled = pooled.reshape(self._most, *pooled.shape[1:])
        logits, offsets = self.heads.box_predictor(self.heads.box_head(pooled))
        return logits, offsets, proposals


class _FixedAnchors(nn.Module):
    """Anchors that were made once, in the place of what makes them for every image."""

    anchors: Tensor

    def __init__(self, anchors: Tensor) -> None:
        super().__init__()
        self.register_buffer('anchors', anchors, persistent=False)

    def forward(self, images: ImageList, features: list[Tensor]) -> list[Tensor]:
        """The anchors of the one image."""
        return [self.anchors]
