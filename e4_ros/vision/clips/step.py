"""One step of clip mode as a module of fixed shapes, the form in which it is exported as ONNX.

`ClipNet.step` and the gate take a memory that grows with the clip; ONNX Runtime wants the same
shapes for every frame. Here the memory has a slot for every frame that a clip can have, and a
counter says how many of them are filled. A clip begins with zeros in every input of the state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from e4_ros.vision.clips.gates import CascadeGate
from e4_ros.vision.clips.motion import motion_map
from e4_ros.vision.clips.net import ClipNet, ClipState

INPUTS = ('early', 'early_before', 'appearance', 'seen', 'gathered', 'tokens', 'logits', 'memory')
OUTPUTS = ('logits', 'gate', 'diversity', 'gathered', 'tokens', 'memory')


class ClipStep(nn.Module):
    """One more frame of one clip: from its two feature maps and the state to answer and gate.

    Args:
        net: recurrent network in eval mode.
        gate: its gate in eval mode.

    Raises:
        ValueError: the network is not recurrent; only those are trained to be run.
    """

    def __init__(self, net: ClipNet, gate: CascadeGate):
        super().__init__()
        if not net.recurrent:
            raise ValueError('only a recurrent clip network runs frame by frame, not max pooling')
        self.net = net
        self.gate = gate
        self.eval()

    def examples(self, early: tuple[int, int, int]) -> tuple[Tensor, ...]:
        """Zeros for each of `INPUTS`: the state before a clip's first frame.

        Args:
            early: channels, rows and columns of the early feature map.
        """
        settings = self.net.settings
        return (
            torch.zeros(1, *early),
            torch.zeros(1, *early),
            torch.zeros(1, settings.deep_size),
            torch.zeros(1, 1),
            torch.zeros(1, settings.width),
            torch.zeros(1, self.net.slots, settings.width),
            torch.zeros(1, settings.classes),
            torch.zeros(1, self.gate.state_size),
        )

    def forward(
        self,
        early: Tensor,
        early_before: Tensor,
        appearance: Tensor,
        seen: Tensor,
        gathered: Tensor,
        tokens: Tensor,
        logits: Tensor,
        memory: Tensor,
    ) -> tuple[Tensor, ...]:
        """See one more frame.

        Args:
            early: early map of the frame, ``(1, C, h, w)``.
            early_before: that of the clip's frame before.
            appearance: mean of the frame's last map, ``(1, D)``.
            seen: number of the clip's frames before this one, ``(1, 1)``.
            gathered: recurrent state, ``(1, W)``.
            tokens: of the frames before, newest first, ``(1, K, W)``.
            logits: after the frame before, ``(1, classes)``.
            memory: of the gate, ``(1, S)``.

        Returns:
            Logits ``(1, classes)``, the gate's score ``(1, 1)`` in [0, 1], the diversity ``(1, 1)``
            and the next ``gathered``, ``tokens`` and ``memory``.
        """
        # The first frame has none before it to have moved from.
        moved = motion_map(early, early_before) * seen.clamp(0, 1)[:, :, None, None]
        before = ClipState(seen, gathered, tokens, torch.zeros_like(seen))
        now, state = self.net.step(before, appearance, moved)
        score, memory = self.gate.judge(now, logits, state.diversity, state.seen, memory)
        return now, torch.sigmoid(score), state.diversity, state.gathered, state.tokens, memory
