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

"""The samples that a gate rollout records, to train gates on."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class GateSamples:
    """Inputs and outcome of an exit, a row for each frame; the rows of all exits are aligned.

    Attributes:
        features: `coarse` features, the input of its gate, ``(C, h, w)`` in half precision.
        described: the temporal exit's diversity, and statistics of the detections.
        scene: `statistics` of the frame, the input of the in-distribution score.
        past: rows of the frames on which it was evaluated before, newest first.
        right: 1 where its detections were good enough, else 0.
        clear: whether the frame was not corrupted.
    """

    features: list[Tensor] = field(default_factory=list)
    described: list[Tensor] = field(default_factory=list)
    scene: list[Tensor] = field(default_factory=list)
    past: list[list[int]] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    clear: list[bool] = field(default_factory=list)

    def add(
        self,
        features: Tensor,
        described: Tensor,
        scene: Tensor,
        past: list[int],
        right: float,
        clear: bool,
    ) -> None:
        """Record one frame; the arguments are those of the attributes."""
        self.features.append(features)
        self.described.append(described)
        self.scene.append(scene)
        self.past.append(past)
        self.right.append(right)
        self.clear.append(clear)

    def extend(self, more: GateSamples) -> None:
        """Append the samples of another stream."""
        first = len(self.right)
        self.features += more.features
        self.described += more.described
        self.scene += more.scene
        self.past += [[first + row for row in rows] for rows in more.past]
        self.right += more.right
        self.clear += more.clear
