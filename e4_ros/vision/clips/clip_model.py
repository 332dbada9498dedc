"""What training leaves in memory: a network over frames, its gate, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass

from e4_ros.vision.clips.gates import CascadeGate
from e4_ros.vision.clips.net import ClipNet


@dataclass(frozen=True)
class ClipModel:
    """A trained clip model.

    Attributes:
        net: recurrent network, in eval mode.
        gate: gate of the network, in eval mode.
        class_names: class names by label.
        threshold: score of the gate that is enough to stop, 0 to 1.
    """

    net: ClipNet
    gate: CascadeGate
    class_names: list[str]
    threshold: float
