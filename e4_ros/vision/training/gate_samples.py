"""What a rehearsal writes down, for gates to learn from."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class GateSamples:
    """What an exit saw and how it did, a row for each frame; rows of all exits belong together.

    Attributes:
        features: `coarse`, what its gate sees, ``(C, h, w)`` in half precision.
        described: the temporal exit's diversity, and what describes the answer.
        scene: `statistics` that its familiarity goes by.
        past: rows of the frames that it was asked about before, newest first.
        right: 1 where its answer would have done, else 0.
        clear: whether nothing was wrong with the camera.
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
        """Note one frame; arguments as the attributes."""
        self.features.append(features)
        self.described.append(described)
        self.scene.append(scene)
        self.past.append(past)
        self.right.append(right)
        self.clear.append(clear)
