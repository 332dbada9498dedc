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

"""What else answers a stream at less than full price: what the ladder is measured beside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from typing_extensions import override

from e4_ros.benchmarks.exits.between import Between, ByteTrack, Hold, Moved, OwnTracks
from e4_ros.benchmarks.exits.ways import BARE_FULL, BETWEEN, MIN_SCORE, Key, Said, Way
from e4_ros.evaluation.precision import reduced_stages
from e4_ros.perception.bundle_cache import open_bundle
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import load_bundle, read_manifest
from e4_ros.vision.bundle.join import joined
from e4_ros.vision.export.assemble import assemble
from e4_ros.vision.export.build import trainable
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.exit_thresholds import FULL, ExitThresholds
from e4_ros.vision.inference.factory import make_engine
from e4_ros.vision.runtime.factory import make_runtime
from e4_ros.vision.tracking.association import LOWEST
from e4_ros.vision.zoo import load_model

STEPS = (2, 3, 5)
SIDES = (252, 204, 172)  # pixels; the detector's own is 300
SURE = (0.5, 0.8)  # scores of its own answer from which an exit is taken


class Bare(Way):
    """A network without tracks, on every frame.

    Args:
        engine: of the network, perhaps with exits; it publishes what scores `MIN_SCORE`.
    """

    def __init__(self, engine: EarlyExitEngine) -> None:
        self._engine = engine

    @override
    def begin(self, frame: np.ndarray, fps: float) -> None:
        self._engine.process_full(frame)
        self._engine.reset()

    @override
    def answer(self, frame: np.ndarray, stamp_s: float) -> Said:
        result = self._engine.process(frame, stamp_s)
        return Said(result.detections.above(MIN_SCORE), result.exit)

    @override
    def after(self, frame: np.ndarray) -> None:
        """Do nothing: there is no audit."""


class EveryKth(Way):
    """A network on every k-th frame, and somebody who answers in between.

    Args:
        engine: of the network; may be shared, for it has no state.
        k: from one asked frame to the next.
        between: who answers.
    """

    def __init__(self, engine: EarlyExitEngine, k: int, between: Between) -> None:
        self._engine, self._k, self._between = engine, k, between

    @override
    def begin(self, frame: np.ndarray, fps: float) -> None:
        self._between.begin(fps)
        self._count = 0

    @override
    def answer(self, frame: np.ndarray, stamp_s: float) -> Said:
        asked = self._count % self._k == 0
        self._count += 1
        self._between.look(frame, stamp_s)
        if not asked:
            return Said(self._between.answer(), BETWEEN)
        return Said(self._between.key(self._engine.process_full(frame).detections), FULL)

    @override
    def after(self, frame: np.ndarray) -> None:
        """Do nothing: there is no audit."""


def peers(model: str, threads: int, int8_from: list[np.ndarray], quick: bool) -> dict[Key, Way]:
    """What else answers a stream at less than full price, and the bare network.

    Args:
        model: name or path of the bundle.
        threads: within an operation.
        int8_from: frames from which int8 learns the range of each layer.
        quick: one setting each.
    """
    options = EngineOptions(model, exits=False, tracks=False, threads=threads, min_score=LOWEST)
    bare = set_up(options).early_exits
    ways: dict[Key, Way] = {BARE_FULL: Bare(bare), Key('bytetrack', 1): _every(bare, 1, ByteTrack)}
    for k in STEPS[1:2] if quick else STEPS:
        ways[Key('bytetrack', k)] = _every(bare, k, ByteTrack)
        ways[Key('tracker', k)] = _every(bare, k, OwnTracks)
        ways[Key('constant_velocity', k)] = _every(bare, k, Moved)
        ways[Key('hold', k)] = _every(bare, k, Hold)
    path = open_bundle(model)
    for side in SIDES[1:2] if quick else SIDES:
        ways[Key('smaller_input', side)] = Bare(_smaller(path, side, threads))
    ways[Key('int8', 8)] = Bare(_int8(path, threads, int8_from))
    if read_manifest(path).exits:
        for sure in SURE[:1] if quick else SURE:
            ways[Key('score_exits', sure)] = Bare(_score_exits(path, sure, threads))
    return ways


def _every(bare: EarlyExitEngine, k: int, between: type[Between]) -> Way:
    return EveryKth(bare, k, between(MIN_SCORE))


def _smaller(path: Path, side: int, threads: int) -> EarlyExitEngine:
    model = load_model(read_manifest(path).model, input_size=(side, side))
    return make_engine(assemble(model), make_runtime('onnxruntime', threads), exits=False)


def _int8(path: Path, threads: int, frames: list[np.ndarray]) -> EarlyExitEngine:
    network = load_bundle(path).network
    reduced = replace(network, stages=reduced_stages(network, 'int8', frames))
    return make_engine(joined(reduced), make_runtime('onnxruntime', threads), exits=False)


def _score_exits(path: Path, sure: float, threads: int) -> EarlyExitEngine:
    """The heads between stages, without gates: BranchyNet.

    An exit is taken where it is sure of its own answer (Teerapittayanon et al., arXiv 1709.01686).
    """
    model, fitted = trainable(path, read_manifest(path))
    exits = [replace(found, gate=None) for found in fitted.exits]
    network = assemble(model, replace(fitted, exits=exits, temporal=None))
    thresholds = ExitThresholds({found.name: sure for found in exits})
    return EarlyExitEngine(network, thresholds, make_runtime('onnxruntime', threads))
