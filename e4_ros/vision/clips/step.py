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

"""One step of clip mode as a module of fixed shapes, the form in which it is exported as ONNX.

ONNX Runtime wants the same shapes for every frame, so the memory has a slot for every frame that a
clip may have, and a counter says how many of them are filled. What the frame before has left comes
in under its name and ``_before``; a clip begins with zeros in all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from e4_ros.vision.clips.gates import CascadeGate
from e4_ros.vision.clips.motion import motion_map
from e4_ros.vision.clips.net import ClipNet, ClipState

OUTPUTS = ('logits', 'gate', 'diversity', 'gathered', 'tokens', 'memory')


class ClipStep(nn.Module):
    """One more frame of one clip: from its features and the state to the answer and the gate.

    Args:
        net: network in eval mode, recurrent as every trained clip model is.
        gate: gate of the network, in eval mode.
    """

    def __init__(self, net: ClipNet, gate: CascadeGate):
        super().__init__()
        self.net = net
        self.gate = gate
        self.eval()

    def inputs(self, early: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
        """Shape of each input by its name, in the order of `forward`.

        Args:
            early: channels, rows and columns of the early feature map.
        """
        settings = self.net.settings
        return {
            'early': (1, *early),
            'appearance': (1, settings.deep_size),
            'seen': (1, 1),
            'early_before': (1, *early),
            'logits_before': (1, settings.classes),
            'gathered_before': (1, settings.width),
            'tokens_before': (1, self.net.slots, settings.width),
            'memory_before': (1, self.gate.state_size),
        }

    def forward(
        self,
        early: Tensor,
        appearance: Tensor,
        seen: Tensor,
        early_before: Tensor,
        logits_before: Tensor,
        gathered_before: Tensor,
        tokens_before: Tensor,
        memory_before: Tensor,
    ) -> tuple[Tensor, ...]:
        """See one more frame.

        Args:
            early: early map of the frame, ``(1, C, h, w)``.
            appearance: mean of the frame's last map, ``(1, D)``.
            seen: number of the clip's frames before this one, ``(1, 1)``.
            early_before: early map of the frame before.
            logits_before: class logits after the frame before, ``(1, classes)``.
            gathered_before: recurrent state, ``(1, W)``.
            tokens_before: tokens of the frames before, newest first, ``(1, K, W)``.
            memory_before: memory of the gate, ``(1, S)``.

        Returns:
            Class logits ``(1, classes)``, the gate's score ``(1, 1)`` in [0, 1], the diversity
            ``(1, 1)`` in [0, 1], and the next recurrent state, tokens and memory of the gate.
        """
        # The first frame has none before it to have moved from.
        moved = motion_map(early, early_before) * seen.clamp(0, 1)[:, :, None, None]
        before = ClipState(seen, gathered_before, tokens_before, torch.zeros_like(seen))
        logits, now = self.net.step(before, appearance, moved)
        score, memory = self.gate.judge(
            logits, logits_before, now.diversity, now.seen, memory_before
        )
        return logits, torch.sigmoid(score), now.diversity, now.gathered, now.tokens, memory
