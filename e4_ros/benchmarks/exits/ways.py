"""Ways to answer a stream, all behind one call: engines, and a network on every k-th frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from typing_extensions import override

from e4_ros.benchmarks.exits.between import Between, ByteTrack, Hold, Moved, OwnTracks
from e4_ros.evaluation.precision import reduced_stages
from e4_ros.perception.bundle_cache import open_bundle
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import load_bundle, read_manifest
from e4_ros.vision.bundle.join import joined
from e4_ros.vision.detections import Detections
from e4_ros.vision.export.assemble import assemble
from e4_ros.vision.export.build import trainable
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.exit_thresholds import DEFAULT_RISK, FULL, ExitThresholds
from e4_ros.vision.inference.factory import make_engine
from e4_ros.vision.inference.stream_engine import StreamEngine
from e4_ros.vision.runtime.factory import make_runtime
from e4_ros.vision.tracking.association import LOWEST
from e4_ros.vision.zoo import load_model

MIN_SCORE = 0.3
"""Score from which a detection is published, by whatever way, and so judged."""

ASKED = (0.05, 0.1, 0.2)
"""Risks that are asked for, to see whether the loss stays below."""

RISKS = tuple(sorted({*ASKED, DEFAULT_RISK}))
STEPS = (2, 3, 5)
PASSES = (0.33, 0.5, 1.0)  # of the network a frame, that closer looks fill up to
SIDES = (252, 204, 172)  # pixels; the detector's own is 300
SURE = (0.5, 0.8)  # scores of its own answer from which an exit is taken
BETWEEN = 'between'
"""Exit of a frame on which a network that is asked every k-th time was not."""


class Key(NamedTuple):
    """A way, and its setting."""

    way: str
    setting: float = 0.0


FULL_TRACKED, BARE_FULL = Key('full_tracked'), Key('full')


class Said(NamedTuple):
    """One answer, and the exit that gave it."""

    detections: Detections
    exit: str


class Way(Protocol):
    """Answers the frames of one stream."""

    def begin(self, frame: np.ndarray, fps: float) -> None:
        """A new stream begins.

        Args:
            frame: its first, ``(H, W, 3)`` uint8 RGB.
            fps: frames a second.
        """
        ...

    def answer(self, frame: np.ndarray, stamp_s: float) -> Said:
        """Answer the next frame."""
        ...

    def after(self, frame: np.ndarray) -> None:
        """What is done once the answer is out, and is in no latency."""
        ...


class Engine(Way):
    """An engine as perception runs it, with audits and a look at what pays.

    Args:
        options: of the engine; made anew for each stream, so nothing is known of the last one.
    """

    def __init__(self, options: EngineOptions) -> None:
        self._options = options

    @override
    def begin(self, frame: np.ndarray, fps: float) -> None:
        self.engine: StreamEngine = set_up(self._options).engine
        self.engine.process_full(frame)
        self.engine.check_pay(frame)
        self.engine.reset()

    @override
    def answer(self, frame: np.ndarray, stamp_s: float) -> Said:
        self._last = self.engine.process(frame, stamp_s)
        return Said(self._last.detections, self._last.exit)

    @override
    def after(self, frame: np.ndarray) -> None:
        self.engine.audit(frame, self._last)


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


def ladders(model: str, threads: int, risks: tuple[float, ...] = RISKS) -> dict[Key, Way]:
    """The full network with the tracker, and the ladder at several risks."""
    options = EngineOptions(model, threads=threads, min_score=MIN_SCORE)
    ways: dict[Key, Way] = {FULL_TRACKED: Engine(replace(options, exits=False))}
    return ways | {Key('ladder', risk): Engine(replace(options, risk=risk)) for risk in risks}


def closers(model: str, threads: int) -> dict[Key, Way]:
    """The ladder with closer looks, at several budgets."""
    options = EngineOptions(model, threads=threads, min_score=MIN_SCORE)
    return {Key('closer', passes): Engine(replace(options, passes=passes)) for passes in PASSES}


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
