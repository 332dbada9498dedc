"""One frame in, one answer out, from the cheapest exit whose gate the policy trusts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from e4_ros.vision.answer import Answer
from e4_ros.vision.cascade import MovedAnswer, TemporalExit
from e4_ros.vision.chain import compile_chain
from e4_ros.vision.checkpoint import Exit
from e4_ros.vision.frame_result import FrameResult, OnSegment, SegmentClock
from e4_ros.vision.learnt_memory import LearntMemory
from e4_ros.vision.model import VisionModel, check_frame
from e4_ros.vision.policy import FULL, TEMPORAL, ExitPolicy
from e4_ros.vision.runtime import Runtime
from e4_ros.vision.temporal import TemporalNet


class EarlyExitEngine:
    """A network cut into stages with exits between them, and the state of one stream.

    Segment 0 prepares the frame and asks the temporal exit; segment ``i + 1`` is stage ``i`` with
    the exit after it. `process` is not safe to call from two threads at once.

    Args:
        model: the network with its pre- and postprocessing.
        policy: where to stop.
        runtime: what runs the stages.
        exits: exits between stages, in order of depth.
        temporal: network of the temporal exit; without one it moves the last answer on.
        min_score: detections that score less are left out.

    Attributes:
        segments: in order, what each asks of the machine.
    """

    def __init__(
        self,
        model: VisionModel,
        policy: ExitPolicy,
        runtime: Runtime,
        exits: Sequence[Exit] = (),
        temporal: TemporalNet | None = None,
        min_score: float = 0.2,
    ):
        self.model = model
        self.policy = policy
        self.runtime = runtime
        self.min_score = min_score
        self.temporal: TemporalExit = (
            MovedAnswer() if temporal is None else LearntMemory(temporal, runtime)
        )
        self._exit_names = [TEMPORAL, *(e.name for e in exits), FULL]
        chain = compile_chain(model, exits, self.temporal, runtime, policy.asks(TEMPORAL))
        self._input, self._steps, self.segments = chain.input, chain.steps, chain.segments

    @property
    def paths(self) -> dict[str, list[int]]:
        """For every exit that may be taken, the segments on the way to it; ``full`` is the last."""
        names = self._exit_names
        asked = [name == FULL or self.policy.asks(name) for name in names]
        return {name: list(range(depth + 1)) for depth, name in enumerate(names) if asked[depth]}

    def process(
        self, frame: np.ndarray, stamp_s: float, on_segment: OnSegment | None = None
    ) -> FrameResult:
        """Answer one frame of the stream.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: its time; one before the last frame's starts a new stream.
            on_segment: called with a segment's index just before it starts.

        Raises:
            ValueError: the frame is no such image.
        """
        check_frame(frame)
        if not np.isfinite(stamp_s):
            raise ValueError(f'a frame needs a finite time stamp in seconds, got {stamp_s}')
        clock = SegmentClock(on_segment)
        clock.segment(0)
        diversity, scores = 0.0, {}
        if self.policy.asks(TEMPORAL):
            diversity, score = self.temporal.look(frame, stamp_s)
            scores[TEMPORAL] = score
            if self.policy.takes(TEMPORAL, score):
                answer = self.temporal.answer(self.min_score)
                self.temporal.remember(answer, computed=False)
                return FrameResult(answer, TEMPORAL, diversity, scores, *clock.stop())
        answer, name = self._descend(frame, clock, scores)
        if self.policy.asks(TEMPORAL):
            self.temporal.remember(answer, computed=True)
        for step in self._steps:
            if step.exit is not None and step.exit.name in scores:
                step.exit.remember(answer)
        return FrameResult(answer, name, diversity, scores, *clock.stop())

    def process_full(self, frame: np.ndarray, on_segment: OnSegment | None = None) -> FrameResult:
        """Answer one frame by the whole network, without heads; the stream's state stays."""
        check_frame(frame)
        clock = SegmentClock(on_segment)
        clock.segment(0)
        self._input.write(self.model.preprocess(frame))
        for index, step in enumerate(self._steps):
            clock.segment(index + 1)
            step.stage.run()
        return FrameResult(self._last_answer(frame), FULL, 0.0, {}, *clock.stop())

    def run_segment(self, index: int, frame: np.ndarray, stamp_s: float) -> None:
        """Run one segment alone, on what the frame before left in the buffers: to measure it.

        A segment does here what it does within `process` when its exit is asked and not taken. The
        stream's state stays.

        Args:
            index: of the segment.
            frame: ``(H, W, 3)`` uint8 RGB, like the frames of the stream.
            stamp_s: its time; not before the last frame's.
        """
        if index == 0:
            if self.policy.asks(TEMPORAL):
                self.temporal.look(frame, stamp_s)
            self._input.write(self.model.preprocess(frame))
            return
        step = self._steps[index - 1]
        step.stage.run()
        if step.exit is not None and self.policy.asks(step.exit.name):
            step.exit.score(frame.shape, self.min_score)
        if index == len(self._steps):
            self._last_answer(frame)

    def reset(self) -> None:
        """Forget the stream."""
        self.temporal.reset()
        for step in self._steps:
            if step.exit is not None:
                step.exit.reset()

    def _descend(
        self, frame: np.ndarray, clock: SegmentClock, scores: dict[str, float]
    ) -> tuple[Answer, str]:
        self._input.write(self.model.preprocess(frame))
        for index, step in enumerate(self._steps):
            clock.segment(index + 1)
            step.stage.run()
            found = step.exit
            # Where even the best score would not do, the head is not run in vain.
            if found is None or not self.policy.takes(found.name, found.most()):
                continue
            scores[found.name] = found.score(frame.shape, self.min_score)
            if self.policy.takes(found.name, scores[found.name]):
                return found.answer(), found.name
        return self._last_answer(frame), FULL

    def _last_answer(self, frame: np.ndarray) -> Answer:
        outputs = [buffer.read() for buffer in self._steps[-1].stage.outputs]
        return self.model.decode(outputs, frame.shape, self.min_score)
