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

"""An untrained head for an exit, no larger than pays there."""

from __future__ import annotations

import math

from torch import nn

from e4_ros.vision.class_map import ALL_CLASSES, ClassMap
from e4_ros.vision.nets.heads import ClassHead, GridHead, Head

# Width and stride of heads to boxes, the best first.
_SIZES = ((64, 1), (32, 1), (32, 2))
_MOST = 1 / 8  # a head's share of the work that an answer of its exit saves


def make_head(
    task: str,
    shape: tuple[int, ...],
    classes: int,
    known: ClassMap = ALL_CLASSES,
    depth: int = 4,
    saved_macs: float = float('inf'),
) -> Head:
    """An untrained head that suits the task and the map that it reads.

    An exit that is asked in vain costs time, and on a fine map a head may cost as much as the rest
    of a small network. So one to boxes is narrower there, or joins cells, until it costs an eighth
    of what lies behind it; the smallest is taken where none does.

    Args:
        task: ``detect`` or ``classify``.
        shape: ``(C, h, w)`` of the features.
        classes: number of the network's classes.
        known: those that a head to boxes has.
        depth: depth of a `GridHead`.
        saved_macs: multiply-accumulates of the network behind the exit.
    """
    if task != 'detect':
        return ClassHead(shape[0], classes)
    for width, stride in _SIZES:
        if shape[1] % stride or shape[2] % stride:
            continue  # the grid would not cover the picture
        head = GridHead(shape[0], known.count(classes), width, depth, known.labels, stride)
        if _macs(head, shape) <= _MOST * saved_macs:
            break
    return head


def _macs(head: GridHead, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of a head on such features; every layer of it runs on its grid.

    They are not traced: torch.fx changes every module's call while it does, and another thread may
    be training.
    """
    layers = [module for module in head.modules() if isinstance(module, nn.Conv2d)]
    return math.prod(head.grid(shape)) * sum(layer.weight.numel() for layer in layers)
