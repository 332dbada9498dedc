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

"""Gate rollout: hold-out footage replayed as a stream through exits that are fitted already.

On its training footage an exit is nearly always right; a gate trained on that would be
overconfident. So gates are trained on a rollout: frames in order of time, memories that fill and
detections that follow from detections as they will on the robot, and some corrupted frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from e4_ros.vision.exit_checkpoint import Exit
from e4_ros.vision.export.assemble import temporal_part
from e4_ros.vision.model import VisionModel
from e4_ros.vision.nets.heads import Answering
from e4_ros.vision.nets.temporal_net import TemporalNet
from e4_ros.vision.networks.torch_export import ModuleProgram
from e4_ros.vision.runtime.one_per_core import OnePerCore
from e4_ros.vision.training.feature_extractor import FeatureExtractor
from e4_ros.vision.training.gate_samples import GateSamples
from e4_ros.vision.training.holdout import HoldoutSplit
from e4_ros.vision.training.rollout_stream import Played, RolloutStream


class GateRollout:
    """Replays footage through exits that have heads but no gates yet, one stream on each core.

    Detections are good enough if they cost at most ``0.05 · exp(depth / 2)`` of quality against
    the full network (FrameExit's rule, arXiv 2104.13400, with `quality_lost` for the loss).

    Args:
        model: the network.
        probes: the same, cut at the exits.
        exits: exits between stages, in order of depth.
        temporal: network of the temporal exit; None where it has none.
        seed: seed of everything that is random.

    Attributes:
        temporal_notes: samples of the temporal exit's gate; None without a temporal network.
        notes: samples of the gate of each exit between stages.
    """

    def __init__(
        self,
        model: VisionModel,
        probes: OnePerCore[FeatureExtractor],
        exits: Sequence[Exit],
        temporal: TemporalNet | None,
        seed: int,
    ):
        heads = [Answering(e.head).eval() for e in exits]
        programs = [
            ModuleProgram('attached', head, {'x': probes.copies[0].shape(i)}, head.output_names)
            for i, head in enumerate(heads)
        ]
        part = None if temporal is None else temporal_part(temporal, debug=True)
        left = iter(probes.copies)
        self._streams = OnePerCore(
            lambda: RolloutStream(model, next(left), heads, programs, part), len(probes.copies)
        )
        self._seed = seed
        self.temporal_notes = None if temporal is None else GateSamples()
        self.notes = [GateSamples() for _ in exits]

    def play(
        self, sources: Sequence[HoldoutSplit], frames: int, progress: Callable[[int, int], None]
    ) -> None:
        """Play what is held out, again and again in other views, until ``frames`` were played."""
        held = [(split.source, rows) for split in sources for rows in split.held_out]
        total = sum(len(rows) for _, rows in held)
        played = [(source, rows[: math.ceil(len(rows) * frames / total)]) for source, rows in held]
        takes = max(1, round(frames / total))
        done, whole = 0, takes * sum(len(rows) for _, rows in played)

        def take(stream: RolloutStream, numbers: tuple[int, int]) -> Played:
            number, place = numbers
            rng = np.random.default_rng([self._seed, number, place])
            return stream.play(*played[place], played if number else None, rng)

        order = [(number, place) for number in range(takes) for place in range(len(played))]
        for (_, place), (temporal, notes) in zip(
            order, self._streams.map(take, order), strict=True
        ):
            if self.temporal_notes is not None:
                self.temporal_notes.extend(temporal)
            for kept, more in zip(self.notes, notes, strict=True):
                kept.extend(more)
            done += len(played[place][1])
            progress(done, whole)
