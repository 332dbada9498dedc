"""A clip model: all that a clip engine needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from e4_ros.vision.model import VisionModel
from e4_ros.vision.staged_network import Part


def stop_name(frames: int) -> str:
    """Name of the exit at which a gate stops a window after so many frames."""
    return f'frame{frames}'


@dataclass(frozen=True)
class ClipNetwork:
    """A backbone over single frames, and a recurrent step over what it sees.

    Attributes:
        model: what comes before the backbone and after the step.
        backbone: from ``image`` to ``early`` and ``appearance``.
        step: from those, ``seen`` (number of the clip's frames before this one) and what the frame
            before has left to ``logits``, ``gate``, ``diversity`` and what this frame leaves. An
            input that ends in ``_before`` is the output of that name for the frame before, of the
            step or of the backbone; zeros for a clip's first frame.
        frames: most frames that are looked at of a clip.
        window_s: length of the clips that it learned from, in seconds.
        thresholds: gate threshold by exit, ``frame1`` and so on; an exit without one is off.
    """

    model: VisionModel
    backbone: Part
    step: Part
    frames: int
    window_s: float
    thresholds: Mapping[str, float] = field(default_factory=dict)
