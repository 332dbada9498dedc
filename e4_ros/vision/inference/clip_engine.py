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

"""Clip mode on a stream: frames are looked at until the gate trusts what the clip shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e4_ros.vision.clip_network import ClipNetwork, stop_name
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.clip_window import Window, WindowSchedule
from e4_ros.vision.inference.compiled_network import Segment
from e4_ros.vision.inference.exit_economics import ExitEconomics
from e4_ros.vision.inference.exit_thresholds import FULL, ExitThresholds
from e4_ros.vision.inference.frame_result import FrameResult, OnSegment, SegmentTimer
from e4_ros.vision.inference.online_risk import OnlineRisk
from e4_ros.vision.model import check_frame
from e4_ros.vision.runtime.devices import CPU
from e4_ros.vision.runtime.interfaces import Runtime
from e4_ros.vision.staged_network import NO_WORK, Work

HELD = 'held'  # not looked at: the last answer holds
LOOKING = 'looking'  # looked at, and no window has its answer yet
_NOTHING = np.zeros((), np.float32)
#: Segments, and what each does on the host that is no layer.
SEGMENTS = {'window': 'clip_window', 'backbone': 'clip_prepare', 'clip_step': 'clip_state'}


@dataclass(frozen=True)
class _Answer:
    """What a window showed: class logits ``(1, C)``, and until when that holds."""

    logits: np.ndarray
    expires_s: float


class ClipEngine:
    """A backbone, a recurrent step over its features, and the windows of one stream.

    Segment 0 decides whether a window looks at the frame, segment 1 is the backbone, segment 2 the
    step of every window that looks, with its gate. A frame that no window looks at ends after
    segment 0 (exit ``held``). Otherwise the exit is ``frameN`` where a gate stopped after ``N``
    frames, ``full`` after the last frame of a window, or ``looking``. All of them give the answer
    of the window that was answered last. It is not safe to use from two threads at once.

    Args:
        network: backbone and step, with what comes before and after them.
        thresholds: which gates' scores are enough to stop.
        runtime: runtime of the programs.
        schedule: schedule of the windows and their frames.
        min_score: score below which classes are left out, 0 to 1.

    Attributes:
        model: preprocessing and decoding of the network.
        segments: work of each of `SEGMENTS`.
        deepest: limits nothing here: how far a window is looked at is not one frame's time.
        windows_answered: number of windows that have come to an answer.
        frames_looked: number of frames that these have looked at, together.
    """

    risk: OnlineRisk | None = None  # nothing is tracked
    deepest: str = FULL
    economics: ExitEconomics | None = None  # stopping a window early costs nothing, and so pays

    def __init__(
        self,
        network: ClipNetwork,
        thresholds: ExitThresholds,
        runtime: Runtime,
        schedule: WindowSchedule,
        min_score: float = 0.0,
    ):
        self.model, self.thresholds, self.runtime = network.model, thresholds, runtime
        self.min_score = min_score
        self.windows_answered = self.frames_looked = 0
        self._schedule = schedule
        self._answer: _Answer | None = None
        backbone, step = network.backbone.program, network.step.program
        self._image = runtime.buffer(backbone.inputs['image'])
        self._backbone = runtime.compile(backbone, {'image': self._image})
        features = self._backbone.outputs
        self._state = {n: runtime.buffer(s) for n, s in step.inputs.items() if n not in features}
        self._step = runtime.compile(step, {**features, **self._state})
        left = {**features, **self._step.outputs}
        before = [name for name in self._state if name.endswith('_before')]
        self._left = {name: left[name.removesuffix('_before')] for name in before}
        look, judge = network.backbone.work, network.step.work
        # Preparing moves the frame's pixels in (uint8) and the network's input out (float32).
        look += Work(0, 5 * math.prod(self._image.shape), 0)
        devices = CPU, self._backbone.device, self._step.device
        self.segments = [
            Segment(name, work.macs, work.bytes_moved, work.layers, task, device)
            for (name, task), work, device in zip(
                SEGMENTS.items(), (NO_WORK, look, judge), devices, strict=True
            )
        ]

    @property
    def device(self) -> str:
        """Device that runs the step, as its session says."""
        return self.segments[-1].device

    @property
    def paths(self) -> dict[str, list[int]]:
        """For every exit that may be taken, the segments on the way to it; ``full`` is the last."""
        early = [stop_name(frames) for frames in range(1, self._schedule.samples)]
        names = [LOOKING, *filter(self.thresholds.asks, early), FULL]
        return {HELD: [0], **{name: [0, 1, 2] for name in names}}

    def process(
        self, frame: np.ndarray, stamp_s: float, on_segment: OnSegment | None = None
    ) -> FrameResult:
        """Answer one frame of the stream.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: its time; see `WindowSchedule` for what begins a new stream.
            on_segment: function called with the index of a segment just before it starts.

        Raises:
            ValueError: the frame is no such image, or the stamps do not move.
        """
        check_frame(frame)
        if not math.isfinite(stamp_s):
            raise ValueError(f'a frame needs a finite time stamp in seconds, got {stamp_s}')
        timer = SegmentTimer(on_segment)
        timer.segment(0)
        if self._schedule.advance(stamp_s):
            self._answer = None
        name, diversity = HELD, 0.0
        scores: dict[str, float] = {}
        if looking := self._schedule.due():
            timer.segment(1)
            self._see(frame)
            timer.segment(2)
            name, diversity, scores = self._look(looking)
        return FrameResult(
            self._in_force(frame.shape, stamp_s), name, diversity, scores, *timer.stop()
        )

    def process_full(self, frame: np.ndarray, on_segment: OnSegment | None = None) -> FrameResult:
        """Look at one frame as the only one of a clip; the stream's state stays."""
        check_frame(frame)
        timer = SegmentTimer(on_segment)
        for index in range(len(self.segments)):
            timer.segment(index)
            self.run_segment(index, frame, 0.0)
        detections = self.model.decode({'logits': self._logits()}, frame.shape, self.min_score)
        return FrameResult(detections, FULL, 0.0, {}, *timer.stop())

    def run_segment(self, index: int, frame: np.ndarray, stamp_s: float) -> None:
        """Run one segment alone, to measure it; the stream's state stays.

        Args:
            index: index of the segment.
            frame: ``(H, W, 3)`` uint8 RGB, like the frames of the stream.
            stamp_s: stamp of the frame; not used.
        """
        if index == 1:
            self._see(frame)
        elif index == 2:
            self._advance(Window(stamp_s, looks=1))

    @property
    def off(self) -> dict[str, str]:
        """Nothing: see `audit`."""
        return {}

    @property
    def notes(self) -> list[str]:
        """How many windows were answered so far, and from how many frames, in a sentence."""
        window_s, most = self._schedule.window_s, self._schedule.samples
        if not self.windows_answered:
            return [
                f'no window was answered: frames must come for {window_s:g} s (window_s) without a '
                'gap of that length'
            ]
        mean = self.frames_looked / self.windows_answered
        return [
            f'windows of {window_s:g} s: {self.windows_answered} answered, after {mean:.1f} of '
            f'{most} frames on average'
        ]

    def audit(
        self, frame: np.ndarray, result: FrameResult, on_segment: OnSegment | None = None
    ) -> None:
        """None: frames that a stopped window did not look at are gone when it could be audited."""

    def check_pay(self, frame: np.ndarray) -> None:
        """None: every exit is on the way to the next, so there is none that could not pay."""

    def reset(self) -> None:
        """Forget the stream."""
        self._schedule.reset()
        self._answer = None

    def _look(self, looking: Sequence[Window]) -> tuple[str, float, dict[str, float]]:
        name, diversity = LOOKING, 0.0
        scores: dict[str, float] = {}
        for window in looking:
            self._advance(window)
            outputs = self._step.outputs
            gate, diversity = (float(outputs[o].read()[0, 0]) for o in ('gate', 'diversity'))
            stop = FULL if self._schedule.is_last(window) else stop_name(window.looks)
            if stop != FULL and self.thresholds.asks(stop):
                scores[stop] = gate
            if stop == FULL or self.thresholds.takes(stop, gate):
                name = stop
                self._answer = _Answer(self._logits().copy(), self._schedule.expires_s(window))
                self._schedule.close(window)
                self.windows_answered += 1
                self.frames_looked += window.looks
        return name, diversity, scores

    def _see(self, frame: np.ndarray) -> None:
        self._image.write(self.model.preprocess(frame))
        self._backbone.run()

    def _advance(self, window: Window) -> None:
        """One step of a window over the frame that the backbone saw last."""
        for name in self._left:
            self._state[name].write(window.state.get(name, _NOTHING))
        self._state['seen'].write(np.array(window.looks - 1, np.float32))
        self._step.run()
        window.state = {name: buffer.read().copy() for name, buffer in self._left.items()}

    def _logits(self) -> np.ndarray:
        return self._step.outputs['logits'].read()

    def _in_force(self, shape: tuple[int, ...], stamp_s: float) -> Detections:
        answer = self._answer
        if answer is None or stamp_s > answer.expires_s:
            return Detections.empty()
        return self.model.decode({'logits': answer.logits}, shape, self.min_score)
