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

"""From the features of one frame after another to an answer after each of them.

The frames' tokens are gathered in one of two ways. ``recurrent`` is E4's (Zhang et al., AAAI 2025,
arXiv 2503.04865): attention over the tokens so far and a recurrent state. ``max`` is FrameExit's
(Ghodrati et al., CVPR 2021, arXiv 2104.13400): the running element-wise maximum and a classifier
for each step.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from e4_ros.vision.clips import motion
from e4_ros.vision.nets.attention import AttentionPool, TokenAttention

Aggregation = Literal['recurrent', 'max']
_HEADS = 4  # places that the motion is read at


@dataclass(frozen=True)
class NetSettings:
    """What decides the shape of a `ClipNet`.

    Attributes:
        deep_size: length of a frame's appearance vector.
        classes: number of classes.
        frames: the most that are seen of a clip.
        aggregation: how frames are aggregated.
        width: length of a frame's token.
        attend: whether to weight by attention; False for means over places and earlier frames.
        memory: whether the state attends to earlier frames.
    """

    deep_size: int
    classes: int
    frames: int = 10
    aggregation: Aggregation = 'recurrent'
    width: int = 64
    attend: bool = True
    memory: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class ClipState:
    """What is known after some frames of each of ``B`` clips.

    Attributes:
        seen: number of frames seen, ``(1, 1)``; the same for all clips.
        gathered: recurrent state or running maximum, ``(B, W)``.
        tokens: tokens of the frames so far, newest first, then zeros: ``(B, K, W)``.
        diversity: how little the last frame resembles those before, ``(B, 1)`` in [0, 1].
    """

    seen: Tensor
    gathered: Tensor
    tokens: Tensor
    diversity: Tensor


class MotionReader(nn.Module):
    """A motion map to a vector: convolutions, then a look at a few places."""

    def __init__(self, attend: bool):
        super().__init__()
        channels = (motion.CHANNELS, 24, 48, 64)
        layers: list[nn.Module] = []
        for index, (kernel, stride) in enumerate(((5, 2), (3, 2), (3, 1))):
            inputs, outputs = channels[index : index + 2]
            layers += [
                nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
                nn.GroupNorm(4, outputs),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.looks = nn.ModuleList(AttentionPool(channels[-1], attend) for _ in range(_HEADS))
        self.size = _HEADS * channels[-1]

    def forward(self, motion_map: Tensor) -> Tensor:
        """``(B, 4, h, w)`` to ``(B, size)``."""
        features = self.layers(motion_map)
        return torch.cat([look(features) for look in self.looks], 1)


class ClipNet(nn.Module):
    """Class logits after each frame of a clip.

    Args:
        settings: settings of the network.
    """

    def __init__(self, settings: NetSettings):
        super().__init__()
        self.settings = settings
        width = settings.width
        self.motion = MotionReader(settings.attend)
        self.appearance = nn.Sequential(
            nn.LayerNorm(settings.deep_size), nn.Dropout(0.5), nn.Linear(settings.deep_size, 32)
        )
        self.token = nn.Sequential(
            nn.Linear(self.motion.size + 32, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(0.2)
        )
        self.recurrent = settings.aggregation == 'recurrent'
        self.slots = max(settings.frames - 1, 1)  # frames that the last one has before it
        if self.recurrent:
            if settings.memory:
                self.attention = TokenAttention(width, self.slots, settings.attend)
            self.state = nn.GRUCell(width * (2 if settings.memory else 1), width)
        heads = 1 if self.recurrent else settings.frames
        self.classify = nn.ModuleList(nn.Linear(width, settings.classes) for _ in range(heads))

    def start(self, clips: int) -> ClipState:
        """Before the first frame."""
        width, device = self.settings.width, next(self.parameters()).device
        return ClipState(
            torch.zeros(1, 1, device=device),
            torch.zeros(clips, width, device=device),
            torch.zeros(clips, self.slots, width, device=device),
            torch.zeros(clips, 1, device=device),
        )

    def step(self, state: ClipState, deep: Tensor, motion_map: Tensor) -> tuple[Tensor, ClipState]:
        """See one more frame.

        Args:
            state: after the frames before.
            deep: appearance ``(B, D)``.
            motion_map: ``(B, 4, h, w)``.

        Returns:
            Logits ``(B, classes)`` and the next state.
        """
        token = self.token(torch.cat([self.motion(motion_map), self.appearance(deep)], 1))
        return self._gather(state, token)

    def forward(self, deep: Tensor, motion_maps: Tensor) -> tuple[Tensor, list[ClipState]]:
        """All frames of clips at once.

        Args:
            deep: ``(B, T, D)``.
            motion_maps: ``(B, T, 4, h, w)``.

        Returns:
            Logits ``(B, T, classes)`` and the state after each frame.
        """
        clips, frames = deep.shape[:2]
        read = self.motion(motion_maps.flatten(0, 1)).view(clips, frames, -1)
        looks = self.appearance(deep)
        if self.training:  # half of the clips without: else single frames are learned by heart
            looks = looks * torch.randint(2, (clips, 1, 1), device=looks.device)
        tokens = self.token(torch.cat([read, looks], 2))
        state, logits, states = self.start(clips), [], []
        for index in range(frames):
            out, state = self._gather(state, tokens[:, index])
            logits.append(out)
            states.append(state)
        return torch.stack(logits, 1), states

    def _gather(self, state: ClipState, token: Tensor) -> tuple[Tensor, ClipState]:
        diversity = state.diversity
        if not self.recurrent:
            gathered = torch.maximum(state.gathered, token)
        elif not self.settings.memory:
            gathered = self.state(token, state.gathered)
        else:
            filled = (torch.arange(self.slots, device=token.device) < state.seen).to(token.dtype)
            filled = filled.expand(token.shape[0], -1)
            remembered, diversity = self.attention(token, state.tokens, filled)
            gathered = self.state(torch.cat([token, remembered], 1), state.gathered)
        head = self.classify[0 if self.recurrent else int(state.seen)]
        tokens = torch.cat([token[:, None], state.tokens[:, :-1]], 1)
        return head(gathered), ClipState(state.seen + 1, gathered, tokens, diversity)
