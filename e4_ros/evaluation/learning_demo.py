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

"""A stream that begins with nothing fitted and ends with exits that were fitted on the way.

The same parts as on a robot: the ring, `e4 fit` in a process of its own, the certificate on newer
frames, the swap between two frames. Only time is short: the stream stands still while the exits
are fitted, as a robot in its dock does, and goes on with the next frame.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros.evaluation.ring_certificate import NEWER
from e4_ros.evaluation.sources import Source
from e4_ros.perception.bundle_cache import open_bundle
from e4_ros.perception.fit_process import FitFailed, FitProcess, FitRequest
from e4_ros.perception.key_frame_ring import KeyFrameRing
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.records import FrameRecord
from e4_ros.perception.ring_writer import RingWriter
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.agreement import confident, matches
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.exit_thresholds import (
    TAKEN,
    TEMPORAL,
    TRACK,
    ExitThresholds,
)
from e4_ros.vision.teacher.offline_teacher import OfflineTeacher

Progress = Callable[[str, int, int], None]

_RING_MB = 500
_SURE = 0.5  # score of a teacher's detections that count


@dataclass(frozen=True)
class DemoOptions:
    """What to show.

    Attributes:
        model: name of a network, path of an ONNX file, or folder of a bundle.
        learn: frames before the fit.
        frames: frames in all; None for the whole source.
        risk: mean loss a frame to certify.
        confidence: probability that this holds.
        threads: threads of the network; 0 for one per core.
        fit_options: further options of `e4 fit`.
    """

    model: str = 'pedestrian_ssdlite'
    learn: int = 220
    frames: int | None = None
    risk: float = 0.2
    confidence: float = 0.9
    threads: int = 0
    fit_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class LearningRun:
    """What happened.

    Attributes:
        records: one for each frame.
        reference: the offline teacher's answers to them.
        learned: number of frames before the fit.
        swapped: index of the first frame that the new exits answered; None where they never did.
        words: what came of the fit.
    """

    records: list[FrameRecord]
    reference: list[Detections]
    learned: int
    swapped: int | None
    words: str

    def f1(self, first: int, end: int) -> float | None:
        """F1 of the published detections of some frames, by the teacher; None without any box."""
        pairs = [
            (record.result.detections, truth)
            for record, truth in zip(
                self.records[first:end], self.reference[first:end], strict=True
            )
        ]
        total = sum(len(ours) + len(confident(truth, _SURE)) for ours, truth in pairs)
        found = sum(matches(ours, truth, 0.0, truth_score=_SURE) for ours, truth in pairs)
        return 2 * found / total if total else None

    def key_frames(self, first: int, end: int) -> float:
        """Share of some frames on which the network ran, in part or whole."""
        exits = [record.result.exit for record in self.records[first:end]]
        return sum(name not in (TRACK, TEMPORAL) for name in exits) / max(len(exits), 1)

    def mean_ms(self, first: int, end: int) -> float:
        """Mean latency of some frames in milliseconds."""
        return 1e3 * float(np.mean([r.result.latency_s for r in self.records[first:end]]))


def learn_while_driving(
    source: Source, options: DemoOptions, out: Path, progress: Progress
) -> LearningRun:
    """Drive, fit, drive on, swap, drive to the end, and have the teacher judge all of it.

    Args:
        source: the camera.
        options: what to show.
        out: folder for the ring and the bundle.
        progress: function that receives the phase, the steps done and their number.

    Raises:
        ValueError: the source is too short, or nothing can be fitted to it.
    """
    drive = _Drive(source, options, out)
    fit = _BesideTheStream(options, out, progress)
    swapped = None
    try:
        drive.on(options.learn)
        drive.writer.flush()
        fit.begin()
        if not drive.on(fit.frames_wanted()):
            drive.writer.close()  # nothing newer will come
        found = fit.result()
        words = str(found['words'])
        if found['take_over']:
            swapped = len(drive.records)
            drive.swap(str(found['bundle']))
    except FitFailed as failure:
        words = str(failure)
    finally:
        fit.end()
        drive.writer.close()
    drive.on(None)
    return LearningRun(
        drive.records, _judged(source, options, len(drive.records), progress), options.learn,
        swapped, words,
    )  # fmt: skip


class _Drive:
    """The stream: what answers it, and what keeps its frames."""

    def __init__(self, source: Source, options: DemoOptions, out: Path) -> None:
        self._threads = options.threads or None
        self._frames = islice(iter(source), options.frames)
        self.perceiver = self._load(options.model)
        if self.perceiver.engine.paths.keys() >= {TRACK}:  # with tracks, nothing fitted is needed
            self.perceiver.engine.thresholds = ExitThresholds({TRACK: TAKEN})
        self.records: list[FrameRecord] = []
        self.writer = RingWriter(KeyFrameRing(out / 'ring', _RING_MB), 1.0)

    def on(self, count: int | None) -> bool:
        """Answer so many frames, or all that are left; whether there were so many."""
        done = 0
        for stamp_s, frame in islice(self._frames, count):
            record = self.perceiver.process(frame, stamp_s, len(self.records))
            self.records.append(record)
            self.perceiver.audit(frame, record)
            self.writer.offer(frame, record, wait=True)
            done += 1
        return count is None or done == count

    def swap(self, bundle: str) -> None:
        """Let another bundle answer from the next frame on."""
        fitted = self._load(bundle)
        fitted.adopt(self.perceiver)
        self.perceiver = fitted

    def _load(self, model: str) -> Perceiver:
        engine = set_up(EngineOptions(model, threads=self._threads)).engine
        perceiver = Perceiver(engine)
        perceiver.warm_up(np.zeros((480, 640, 3), np.uint8))
        return perceiver


class _BesideTheStream:
    """The fit, and how far it has come."""

    def __init__(self, options: DemoOptions, out: Path, progress: Progress) -> None:
        request = FitRequest(
            out / 'ring', options.model, out / 'fitted', options.learn,
            options.risk, options.confidence, options.fit_options,
        )  # fmt: skip
        self._progress, self._changed = progress, threading.Condition()
        self._wanted, self._over = 0, False
        self._found: dict[str, Any] = {}
        self._failure: FitFailed | None = None
        self._process = FitProcess(request, self._tell)
        self._thread = threading.Thread(target=self._run, name='fit', daemon=True)

    def begin(self) -> None:
        """Start it."""
        self._thread.start()

    def frames_wanted(self) -> int:
        """Wait until it has learned; how many newer frames it then asks for, 0 where it failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._over)
            return self._wanted

    def result(self) -> dict[str, Any]:
        """Wait for the end; see `FitProcess.run`."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._found

    def end(self) -> None:
        """End it, if it still runs."""
        if self._thread.is_alive():
            self._process.cancel()
            self._thread.join()

    def _run(self) -> None:
        try:
            self._found = self._process.run()
        except FitFailed as failure:
            self._failure = failure
        with self._changed:
            self._over = True
            self._changed.notify()

    def _tell(self, phase: str, done: int, total: int) -> None:
        self._progress(phase, done, total)
        if phase == NEWER:
            with self._changed:
                self._wanted = self._wanted or total - done
                self._changed.notify()


def _judged(
    source: Source, options: DemoOptions, frames: int, progress: Progress
) -> list[Detections]:
    teacher = OfflineTeacher(load_bundle(open_bundle(options.model)).network)
    clip = islice(source, frames)
    return teacher.pseudo_label(clip, lambda done: progress('the teacher judges', done, frames))
