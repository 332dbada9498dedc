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
