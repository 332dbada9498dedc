"""What can be turned in a fit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FitSettings:
    """Settings of `fit.fit`.

    Attributes:
        seed: seed of everything that is random.
        held_out: share of each source that heads do not learn from; gates learn from it.
        steps: training steps of the temporal exit.
        epochs: passes of each exit between stages over its lessons.
        views: the most views of each frame in those lessons.
        samples: the most lessons; footage that would give more gives fewer views, then frames.
        rehearsed: number of frames of the gate rollout on held-out footage.
        cuts: where exits between stages go: shares of the network's time on this machine, or names
            of traced nodes, which are the same on every machine.
        attention: whether to use attention; False for means.
        memory: whether exits see past frames and earlier exits.
        gates: False for exits between stages that score by how sure their answers are.
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
