"""Clip mode at run time: frames are taken until the gate says that the answer is good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from e4_ros.vision.clips.backbone import ClipBackbone
from e4_ros.vision.clips.checkpoint import ClipModel
from e4_ros.vision.clips.net import ClipState


@dataclass(frozen=True)
class ClipAnswer:
    """What a clip shows.

    Attributes:
        label: index of the class.
        name: of the class.
        score: its probability.
        frames_used: frames that were looked at.
        gate_scores: after each of them.
    """

    label: int
    name: str
    score: float
    frames_used: int
    gate_scores: tuple[float, ...]


class ClipRecogniser:
    """Answers for clips, from as few frames as each needs.

    Args:
        backbone: that the model was trained on.
        model: from `load_clip_model`.
    """

    def __init__(self, backbone: ClipBackbone, model: ClipModel):
        self._backbone = backbone
        self._model = model

    @torch.inference_mode()
    def answer(self, frames: Iterable[np.ndarray]) -> ClipAnswer:
        """Look at one frame after another, and take no more of them than are needed.

        Args:
            frames: ``(H, W, 3)`` uint8 RGB, in order of time, spaced as in training (which saw a
                clip as a few evenly spaced frames); those beyond that number are not taken.

        Raises:
            ValueError: there is no frame.
        """
        net, most = self._model.net, self._model.settings.frames
        state, before, memory = net.start(1), None, None
        logits: list[Tensor] = []
        states: list[ClipState] = []
        scores: list[float] = []
        stream = iter(frames)
        while len(scores) < most and (frame := next(stream, None)) is not None:
            seen = self._backbone.see(frame[None], before)
            before = seen.early
            out, state = net.step(state, seen.deep, seen.motion)
            logits.append(out)
            states.append(state)
            score, memory = self._model.gate.step(logits, states, memory)
            scores.append(float(torch.sigmoid(score)))
            if scores[-1] >= self._model.threshold:
                break
        if not scores:
            raise ValueError('a clip needs at least one frame')
        probabilities = logits[-1].softmax(1)[0]
        label = int(probabilities.argmax())
        return ClipAnswer(
            label,
            self._model.class_names[label],
            float(probabilities[label]),
            len(scores),
            tuple(scores),
        )
