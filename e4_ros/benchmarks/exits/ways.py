"""Ways to answer a stream at less than full price, all behind one call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from typing_extensions import override

from e4_ros.vision.detections import Detections
from e4_ros.vision.export.assemble import assemble
from e4_ros.vision.inference.audit import Auditor
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.exit_thresholds import FULL, ExitThresholds
from e4_ros.vision.inference.factory import make_engine
from e4_ros.vision.models import load_model
from e4_ros.vision.models.trainable import TrainableModel
from e4_ros.vision.runtime.factory import make_runtime
from e4_ros.vision.staged_network import StagedNetwork
from e4_ros.vision.tracking.constant_velocity import ConstantVelocityTracks


@dataclass(frozen=True)
class Said:
    """One answer.

    Attributes:
        detections: what was found.
        seconds: that it took.
        exit: name of the exit that gave it; the full network's for what it says of any size.
    """

    detections: Detections
    seconds: float
    exit: str


class Way(Protocol):
    """Answers the frames of one stream."""

    def reset(self) -> None:
        """A new stream begins."""
        ...

    def detections(self, frame: np.ndarray, stamp_s: float) -> Said:
        """Answer the next frame, ``(H, W, 3)`` uint8 RGB."""
        ...


class Through(Way):
    """An engine under thresholds; several of them may share the engine, one stream at a time."""

    def __init__(self, engine: EarlyExitEngine, thresholds: ExitThresholds):
        self._engine, self._thresholds = engine, thresholds

    @override
    def reset(self) -> None:
        # Exits that audits disabled are enabled again.
        self._engine.thresholds = self._thresholds
        self._engine.reset()

    @override
    def detections(self, frame: np.ndarray, stamp_s: float) -> Said:
        result = self._engine.process(frame, stamp_s)
        return Said(result.detections, result.latency_s, result.exit)


def full_engine(model: TrainableModel, threads: int) -> EarlyExitEngine:
    """The full network in one piece, cut nowhere: the peer.

    Args:
        model: the network.
        threads: threads within an operation.
    """
    return make_engine(assemble(model), make_runtime('onnxruntime', threads), exits=False)


class Watched(Way):
    """An engine as perception runs it: audits, and with `pays` a look at whether exits pay here.

    Args:
        engine: its own; it is changed.
        network: the engine's network, with the audit's bounds.
        thresholds: by exit.
        pays: whether exits that do not pay rest.

    Attributes:
        audit_s: seconds of each audit since the last reset.
        off_at: index of the frame after which an exit was switched off first; None if none was.
    """

    def __init__(
        self,
        engine: EarlyExitEngine,
        network: StagedNetwork,
        thresholds: Mapping[str, float],
        pays: bool,
    ):
        self._engine, self._pays = engine, pays
        self._thresholds = ExitThresholds(thresholds)
        self._bounds, self._confidence = network.audit_bounds, network.confidence
        self.reset()

    @override
    def reset(self) -> None:
        # Exits that audits disabled are enabled again.
        self._engine.thresholds = self._thresholds
        self._engine.auditor = Auditor(self._bounds, confidence=self._confidence)
        self._engine.economics = None
        self._engine.reset()
        self._count = 0
        self.audit_s: list[float] = []
        self.off_at: int | None = None

    @override
    def detections(self, frame: np.ndarray, stamp_s: float) -> Said:
        if self._pays and self._count == 0:
            self._engine.check_pay(frame)
        result = self._engine.process(frame, stamp_s)
        start = time.perf_counter()  # the audit comes after the detections: not in their seconds
        if self._engine.audit(frame, result) is not None:
            self.audit_s.append(time.perf_counter() - start)
        if self._engine.off and self.off_at is None:
            self.off_at = self._count
        self._count += 1
        return Said(result.detections, result.latency_s, result.exit)


class EveryKth(Way):
    """The full network on every k-th frame; in between its answer is held, or moved on.

    Args:
        full: the network.
        k: from one asked frame to the next.
        moving: whether constant-velocity tracks move the answer on.
    """

    def __init__(self, full: EarlyExitEngine, k: int, moving: bool):
        self._full, self._k, self._moving = full, k, moving
        self.reset()

    @override
    def reset(self) -> None:
        self._count = 0
        self._last = Detections.empty()
        self._tracks = ConstantVelocityTracks()

    @override
    def detections(self, frame: np.ndarray, stamp_s: float) -> Said:
        start = time.perf_counter()
        asked = self._count % self._k == 0
        self._count += 1
        if asked:
            self._last = self._full.process_full(frame).detections
            if self._moving:
                self._tracks.update(self._last, stamp_s)
        elif self._moving:
            self._last = self._tracks.predict(stamp_s)
        seconds = time.perf_counter() - start
        return Said(self._last, seconds, FULL if asked else 'repeated')


class Smaller(Way):
    """The full network on a smaller input.

    Args:
        name: of the network in the zoo.
        side: of its square input, in pixels.
        threads: within an operation.
    """

    def __init__(self, name: str, side: int, threads: int):
        model = load_model(name, input_size=(side, side))
        self._engine = full_engine(model, threads)
        self._name = f'{side} pixels'

    @override
    def reset(self) -> None:
        """Do nothing: there is no state."""

    @override
    def detections(self, frame: np.ndarray, stamp_s: float) -> Said:
        result = self._engine.process_full(frame)
        return Said(result.detections, result.latency_s, self._name)
