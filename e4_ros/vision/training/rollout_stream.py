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

"""One stream of a gate rollout: a frame after the other through exits that have no gates yet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from e4_ros.vision.agreement import quality_lost
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference import grid_boxes
from e4_ros.vision.inference.learned_temporal_exit import LearnedTemporalExit
from e4_ros.vision.model import VisionModel
from e4_ros.vision.nets.attention import coarse
from e4_ros.vision.nets.exit_gate import SLOTS
from e4_ros.vision.nets.heads import Answering
from e4_ros.vision.nets.in_distribution import statistics
from e4_ros.vision.networks.torch_export import ModuleProgram
from e4_ros.vision.placement import Placement
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.staged_network import Part
from e4_ros.vision.training.augment import View, random_view
from e4_ros.vision.training.corruptions import CORRUPTIONS, corrupt
from e4_ros.vision.training.feature_extractor import FeatureExtractor
from e4_ros.vision.training.gate_samples import GateSamples
from e4_ros.vision.training.holdout import FootageSegment

_WARM_UP_S = (6.2, 3.1)  # ages of the frames that fill a temporal exit's older memory slots
_CORRUPTED = 0.04  # probability that a corruption begins at a frame
_OTHER_PLACE = 0.15  # probability that the memory is of another place: a scene cut
_LEAST_SCORE = 0.2
_TOLERANCE = 0.05  # quality that may be lost at depth 0, the temporal exit


#: Samples of the temporal exit's gate, and of the gate of each exit between stages.
Played = tuple[GateSamples, list[GateSamples]]


class RolloutStream:
    """Plays stretches of footage; a new stretch forgets the one before.

    Args:
        model: the network.
        probe: the same, cut at the exits.
        heads: head of each exit between stages.
        programs: the same as programs.
        temporal: network of the temporal exit as a part; None where it has none.
    """

    def __init__(
        self,
        model: VisionModel,
        probe: FeatureExtractor,
        heads: Sequence[Answering],
        programs: Sequence[ModuleProgram],
        temporal: Part | None,
    ):
        self._model, self._probe = model, probe
        self._answering = heads
        self._heads = [probe.attach(i, program) for i, program in enumerate(programs)]
        self._temporal = None if temporal is None else _DebugOutputs(temporal)

    def play(
        self,
        source: FootageSegment,
        rows: range,
        others: Sequence[tuple[FootageSegment, range]] | None,
        rng: np.random.Generator,
    ) -> Played:
        """Play a stretch once, as it is or, given other places to come from, in a random view.

        Args:
            source: the source.
            rows: its frames that are played.
            others: stretches that the memory may be from, as after a scene cut.
            rng: generator of everything that is random.
        """
        self._rng = rng
        self._temporal_notes, self._notes = GateSamples(), [GateSamples() for _ in self._heads]
        self._stretch(source, rows, others)
        return self._temporal_notes, self._notes

    def _stretch(
        self,
        source: FootageSegment,
        rows: range,
        others: Sequence[tuple[FootageSegment, range]] | None,
    ) -> None:
        shape = source.frames[0].shape
        if others is None:
            self._warm_up(source, rows[0], (view := View(np.eye(2, 3))), source.stamps_s[rows[0]])
            self._play(source, rows, view, corrupted=False)
            return
        view = random_view(Placement.stretched(shape, shape[:2]), shape[:2], self._rng)
        origin, start = source, rows[0]
        if self._rng.random() < _OTHER_PLACE:
            origin, _ = others[int(self._rng.integers(len(others)))]
            start = int(self._rng.integers(1, len(origin) + 1))
        self._warm_up(origin, start, view, source.stamps_s[rows[0]])
        self._play(source, rows, view, corrupted=True)

    def _warm_up(self, source: FootageSegment, start: int, view: View, now_s: float) -> None:
        """Fill the temporal exit's memory with what came before row ``start``."""
        if self._temporal is None:
            return
        self._temporal.memory.reset()
        stamps = np.array(source.stamps_s[:start])
        if not len(stamps):
            return
        last = stamps[-1]
        wanted = [int(np.abs(stamps - (last - age)).argmin()) for age in (*_WARM_UP_S, 0.0)]
        for row in sorted(set(wanted)):
            size = source.frames[row].shape
            self._temporal.memory.look(
                view.image(source.frames[row], size[:2]), now_s - 0.1 - (last - stamps[row])
            )
            self._temporal.memory.remember(
                view.detections(source.full[row], size[:2]), computed=True
            )

    def _play(self, source: FootageSegment, rows: range, view: View, corrupted: bool) -> None:
        rng = self._rng
        boldness = rng.choice([0.5, 0.8, 0.95])
        asked: list[list[int]] = [[] for _ in self._notes]
        corruption, left = '', 0
        for row in rows:
            if left:
                left -= 1
            else:
                begins = corrupted and rng.random() < _CORRUPTED
                corruption = str(rng.choice([*CORRUPTIONS, 'shake'])) if begins else ''
                left = int(rng.integers(1, 8)) if begins else 0
            seen = _shaken(view, source.frames[row].shape, rng) if corruption == 'shake' else view
            size = source.frames[row].shape[:2]
            image = corrupt(seen.image(source.frames[row], size), corruption, rng)
            pseudo_labels = seen.detections(source.pseudo_labels[row], size)
            self._frame(image, source.stamps_s[row], pseudo_labels, boldness, asked, not corruption)

    def _frame(
        self,
        image: np.ndarray,
        stamp_s: float,
        pseudo_labels: Detections,
        boldness: float,
        asked: list[list[int]],
        clear: bool,
    ) -> None:
        """Ask every exit about a frame, note how each did, and give the stream one answer."""
        self._probe.see(image)
        full = self._probe.detections(image.shape, _LEAST_SCORE)
        given, taken = full, False
        if self._temporal is not None:
            remembers = self._temporal.look(image, stamp_s)
            early = self._temporal.memory.detections(_LEAST_SCORE)
            if not remembers:  # a stream's first frame: nothing can be answered early
                self._temporal.memory.remember(full, computed=True)
                return
            features, described, scene = self._temporal.heard()
            right = self._does(early, full, pseudo_labels, 0)
            self._temporal_notes.add(features, described, scene, [], right, clear)
            if self._rng.random() < boldness:
                given, taken = early, True
        for depth, notes in enumerate(self._notes):
            early, described = self._head(depth, image.shape)
            seen = torch.from_numpy(self._probe.features(depth)).float()[None]
            features, scene = coarse(seen)[0].half(), statistics(seen)[0]
            right = self._does(early, full, pseudo_labels, depth + 1)
            notes.add(features, described, scene, asked[depth][:SLOTS], right, clear)
            if not taken:
                asked[depth].insert(0, len(notes.right) - 1)
                if self._rng.random() < 0.5:
                    given, taken = early, True
        if self._temporal is not None:
            self._temporal.memory.remember(given, computed=True)

    def _head(self, depth: int, frame_shape: tuple[int, ...]) -> tuple[Detections, Tensor]:
        compiled = self._heads[depth]
        compiled.run()
        outputs = {name: buffer.read() for name, buffer in compiled.outputs.items()}
        described = self._answering[depth].described(
            tuple(torch.from_numpy(output) for output in outputs.values())
        )[0]
        if self._model.task == 'classify':
            return self._model.decode(outputs, frame_shape, _LEAST_SCORE), described
        peaks, sides = outputs['peaks'][0], outputs['sides'][0]
        size, placement = self._model.input_size, self._model.place(frame_shape)
        found = grid_boxes.decode_from_input(peaks, sides, size, placement, _LEAST_SCORE)
        return self._answering[depth].classes.widen(found), described

    def _does(
        self, early: Detections, full: Detections, pseudo_labels: Detections, depth: int
    ) -> float:
        lost = quality_lost(early, full, pseudo_labels, self._model.task)
        return float(lost <= _TOLERANCE * math.exp(depth / 2))


class _DebugOutputs:
    """A temporal exit at run time, and what its gate is told."""

    def __init__(self, part: Part):
        self.memory = LearnedTemporalExit(part, OnnxRuntime(1))

    def look(self, image: np.ndarray, stamp_s: float) -> bool:
        """Look at a frame; whether there is a memory to answer from."""
        return self.memory.look(image, stamp_s) != (1.0, 0.0)

    def heard(self) -> tuple[Tensor, Tensor, Tensor]:
        """Coarse features, diversity with the answer's description, and scene of the last frame."""
        diversity, features, described, scene = (
            torch.from_numpy(self.memory.outputs[name].read()[0].copy())
            for name in ('diversity', 'features', 'description', 'scene')
        )
        return features.half(), torch.cat([diversity, described]), scene


def _shaken(view: View, shape: tuple[int, ...], rng: np.random.Generator) -> View:
    matrix = view.matrix.copy()
    matrix[:, 2] += rng.uniform(-0.08, 0.08, 2) * [shape[1], shape[0]]
    return View(matrix, view.gain, view.offset)
