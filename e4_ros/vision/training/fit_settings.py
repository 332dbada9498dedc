"""The settings of a fit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FitSettings:
    """Settings of `fit.fit`.

    Attributes:
        seed: seed of everything that is random.
        held_out: share of each source that heads are not trained on; gates are.
        steps: number of training steps of the temporal exit.
        epochs: number of passes of each exit between stages over its samples.
        views: largest number of views of each frame among the samples.
        samples: largest number of samples; more footage gives fewer views, then fewer frames.
        rehearsed: number of frames of the gate rollout on held-out footage.
        cuts: where exits between stages go: shares of the network's time on this machine, or names
            of traced nodes, which are the same on every machine.
        attention: whether to use attention; False for means.
        memory: whether exits see past frames and earlier exits.
        gates: whether exits between stages have gates; False: their confidence is their score.
    """

    seed: int = 0
    held_out: float = 0.2
    steps: int = 1000
    epochs: int = 8
    views: int = 5
    samples: int = 2000
    rehearsed: int = 1200
    cuts: tuple[float | str, ...] = (0.4,)
    attention: bool = True
    memory: bool = True
    gates: bool = True
