"""Clip mode on a stream: frames are looked at until the gate trusts what the clip shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.clip_window import Window, WindowSchedule
from e4_ros.vision.inference.frame_result import FrameResult, OnSegment, SegmentClock
from e4_ros.vision.inference.policy import FULL, ExitPolicy
from e4_ros.vision.model import check_frame
from e4_ros.vision.runtime.interfaces import Program, Runtime

if TYPE_CHECKING:
    from e4_ros.vision.inference.compiled_network import Segment

HELD = 'held'  # not looked at: the last answer holds
LOOKING = 'looking'  # looked at, and no window has its answer yet
_NOTHING = np.zeros((), np.float32)
SEGMENTS = ('window', 'backbone', 'clip_step')


class ClipModel(Protocol):
    """What is to be known of a clip model to run it.

    Attributes:
        name: name of the model.
        task: ``clips``.
        class_names: what a label means, by index.
    """

    name: str
    task: str
    class_names: Sequence[str]

    def preprocess(self, frame: np.ndarray) -> np.ndarray:
        """Turn an ``(H, W, 3)`` uint8 RGB frame into the backbone's ``(1, 3, h, w)`` float32."""
        ...


@dataclass(frozen=True)
class _Answer:
    """What a window showed: class, probability, and until when that holds."""

    label: int
    score: float
    expires_s: float


class ClipEngine:
    """A backbone, a recurrent step over its features, and the windows of one stream.

    Segment 0 decides whether a window looks at the frame, segment 1 is the backbone, segment 2 the
    step of every window that looks, with its gate. A frame that no window looks at ends after
    segment 0 (exit ``held``). Otherwise the exit is ``frameN`` where a gate stopped after ``N``
    frames, ``full`` after the last frame of a window, or ``looking``. All of them give the answer
    of the window that was answered last. It is not safe to use from two threads at once.

    Args:
        model: preprocessing and names.
        policy: which gates' scores are enough to stop.
        runtime: what runs the programs.
        programs: ``backbone``, from ``image`` to ``early`` and ``appearance``, and ``step``, from
            those, ``seen`` and what the frame before has left to ``logits``, ``gate``,
            ``diversity`` and what this frame leaves. An input of the step that ends in ``_before``
            is the output of that name for the clip's frame before; zeros for its first frame.
        schedule: when windows begin and look.
        segments: what each of `SEGMENTS` asks of the machine.
        min_score: answers that score less are left out.
    """

    economics = None
    off: Mapping[str, str] = {}

    def __init__(
        self,
        model: ClipModel,
        policy: ExitPolicy,
        runtime: Runtime,
        programs: Mapping[str, Program],
        schedule: WindowSchedule,
        segments: Sequence[Segment],
        min_score: float = 0.0,
    ):
        self.model, self.policy, self.runtime = model, policy, runtime
        self.segments, self.min_score = list(segments), min_score
        self._schedule = schedule
        self._answer: _Answer | None = None
        backbone, step = programs['backbone'], programs['step']
        self._image = runtime.buffer(backbone.inputs['image'])
        self._backbone = runtime.compile(backbone, {'image': self._image})
        features = self._backbone.outputs
        self._state = {n: runtime.buffer(s) for n, s in step.inputs.items() if n not in features}
        self._step = runtime.compile(step, {**features, **self._state})
        left = {**features, **self._step.outputs}
        before = [name for name in self._state if name.endswith('_before')]
        self._left = {name: left[name.removesuffix('_before')] for name in before}

    @property
    def paths(self) -> dict[str, list[int]]:
        """For every exit that may be taken, the segments on the way to it; ``full`` is the last."""
        early = [f'frame{look}' for look in range(1, self._schedule.samples)]
        names = [LOOKING, *filter(self.policy.asks, early), FULL]
        return {HELD: [0], **{name: [0, 1, 2] for name in names}}

    def process(
        self, frame: np.ndarray, stamp_s: float, on_segment: OnSegment | None = None
    ) -> FrameResult:
        """Answer one frame of the stream.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: its time; see `WindowSchedule` for what begins a new stream.
            on_segment: called with a segment's index just before it starts.

        Raises:
            ValueError: the frame is no such image, or the stamps do not move.
        """
        check_frame(frame)
        if not np.isfinite(stamp_s):
            raise ValueError(f'a frame needs a finite time stamp in seconds, got {stamp_s}')
        clock = SegmentClock(on_segment)
        clock.segment(0)
        if self._schedule.advance(stamp_s):
            self._answer = None
        name, diversity = HELD, 0.0
        scores: dict[str, float] = {}
        if looking := self._schedule.due():
            clock.segment(1)
            self._see(frame)
            clock.segment(2)
            name, diversity, scores = self._look(looking)
        return FrameResult(
            self._in_force(frame.shape, stamp_s), name, diversity, scores, *clock.stop()
        )

    def process_full(self, frame: np.ndarray, on_segment: OnSegment | None = None) -> FrameResult:
        """Look at one frame as the only one of a clip; the stream's state stays."""
        check_frame(frame)
        clock = SegmentClock(on_segment)
        for index in range(len(self.segments)):
            clock.segment(index)
            self.run_segment(index, frame, 0.0)
        label, score = self._best()
        detections = Detections.of_class(label, score, frame.shape).above(self.min_score)
        return FrameResult(detections, FULL, 0.0, {}, *clock.stop())

    def run_segment(self, index: int, frame: np.ndarray, stamp_s: float) -> None:
        """Run one segment alone, to measure it; the stream's state stays.

        Args:
            index: index of the segment.
            frame: ``(H, W, 3)`` uint8 RGB, like the frames of the stream.
            stamp_s: its time; plays no part.
        """
        if index == 1:
            self._see(frame)
        elif index == 2:
            self._advance(Window(stamp_s, looks=1))

    def audit(self, *_: object) -> None:
        """None: a frame that was not looked at cannot be, later on, as the clip's next one."""

    def check_pay(self, _: np.ndarray) -> None:
        """None: stopping a window early costs nothing, so there is no exit that could not pay."""

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
            stop = FULL if self._schedule.is_last(window) else f'frame{window.looks}'
            if stop != FULL and self.policy.asks(stop):
                scores[stop] = gate
            if stop == FULL or self.policy.takes(stop, gate):
                name = stop
                self._answer = _Answer(*self._best(), self._schedule.expires_s(window))
                self._schedule.close(window)
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

    def _best(self) -> tuple[int, float]:
        """The likeliest class after the last step, and its probability."""
        logits = self._step.outputs['logits'].read()[0]
        label = int(logits.argmax())
        return label, float(1 / np.exp(logits - logits[label]).sum())

    def _in_force(self, shape: tuple[int, ...], stamp_s: float) -> Detections:
        answer = self._answer
        if answer is None or stamp_s > answer.expires_s:
            return Detections.empty()
        return Detections.of_class(answer.label, answer.score, shape).above(self.min_score)
