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

"""The settings of a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e4_ros.vision.model import Task

_STEPS_A_FRAME, _STEPS = 0.5, (400, 1000)  # more than this changes little: see docs/exits.md


@dataclass(frozen=True)
class FitSettings:
    """Settings of `fit.fit`.

    Attributes:
        seed: seed of everything that is random.
        held_out: share of each source that heads are not trained on; gates are.
        steps: number of training steps of the temporal exit; None for one that rises with the
            footage.
        epochs: number of passes of each exit between stages over its samples.
        views: largest number of views of each frame among the samples.
        samples: largest number of samples; more footage gives fewer views, then fewer frames.
        rehearsed: number of frames of the gate rollout on held-out footage.
        cuts: where exits between stages go: shares of the network's time on this machine, or names
            of traced nodes, which are the same on every machine.
        attention: whether to use attention; False for means.
        memory: whether exits see past frames and earlier exits.
        apart_s: least time between two frames that the teacher looks at; between them its tracks
            say where things are.
        gates: whether exits between stages have gates; False: their confidence is their score.
    """

    seed: int = 0
    held_out: float = 0.2
    steps: int | None = None
    epochs: int = 4
    views: int = 5
    samples: int = 2000
    rehearsed: int = 1000
    cuts: tuple[float | str, ...] = (0.4,)
    attention: bool = True
    memory: bool = True
    apart_s: float = 0.06
    gates: bool = True

    def steps_for(self, frames: int) -> int:
        """Training steps of the temporal exit for so many frames to learn from."""
        return self.steps or int(np.clip(_STEPS_A_FRAME * frames, *_STEPS))


def quick_settings(task: Task) -> FitSettings:
    """Settings of a first useful version, in a quarter of the time.

    A detector gets the temporal exit alone, taught by a teacher that looks at every second frame of
    a stream of 10 Hz; a classifier, which has no other, a short training of its exit.
    """
    if task == 'classify':
        return FitSettings(epochs=3, views=3, rehearsed=300)
    return FitSettings(steps=250, rehearsed=300, cuts=(), apart_s=0.15)
