"""One frame in, one answer out, from the cheapest exit whose gate the policy trusts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from e4_ros.vision import grid_boxes
from e4_ros.vision.answer import Answer
from e4_ros.vision.cascade import MovedAnswer, TemporalExit, certainty
from e4_ros.vision.checkpoint import Checkpoint, Exit, default_path, load, network_hash
from e4_ros.vision.exits import Peaks
from e4_ros.vision.learnt_memory import LearntMemory
from e4_ros.vision.model import VisionModel, check_frame
from e4_ros.vision.node_costs import module_cost
from e4_ros.vision.policy import FULL, TEMPORAL, ExitPolicy, FullPolicy, ThresholdPolicy
from e4_ros.vision.runtime import Piece, Runtime, make_runtime
from e4_ros.vision.stages import split
from e4_ros.vision.temporal import TemporalNet
from e4_ros.vision.zoo import load_model

POLICIES = ('full', 'e4')
_DEFAULT_THRESHOLDS = {TEMPORAL: 0.75}

# What the pedestrian detector's resizing and decoding took on one EPYC core (0.28 ms and 0.07 ms
# for a 768x576 frame), at an assumed 3.5 GHz.
_PREPARE_CYCLES = 1_000_000
_DECODE_CYCLES = 250_000

OnSegment = Callable[[int], None]


@dataclass(frozen=True)
class Segment:
    """A run of layers that shares one operating point.

    Attributes:
        name: unique within the engine.
        macs: multiply-accumulates for one frame.
        bytes_moved: bytes read and written for one frame.
        layers: operations that are started one by one.
        host_cycles: cycles of one core for what is no layer: resizing, tracks, boxes.
    """

    name: str
    macs: int
    bytes_moved: int
    layers: int
    host_cycles: int


@dataclass(frozen=True)
class FrameResult:
    """The answer for one frame and how it came about.

    Attributes:
        answer: what was found.
        exit: name of the exit that gave it.
        diversity: 0 to 1, how much the frame differs from what the stream has shown.
        gate_scores: by exit, in the order they were asked.
        segment_s: seconds of each segment that ran, in the order of ``engine.paths[exit]``.
        latency_s: from the start of the computation to the answer.
    """

    answer: Answer
    exit: str
    diversity: float
    gate_scores: dict[str, float]
    segment_s: list[float]
    latency_s: float


@dataclass
class _Step:
    """A stage at run time, with the exit after it if it has one."""

    stage: Piece
    exit: Exit | None = None
    head: Piece | None = None


@dataclass
class _Clock:
    """Times segments and says when one begins."""

    on_segment: OnSegment | None
    marks: list[float] = field(default_factory=list)

    def segment(self, index: int) -> None:
        if self.on_segment is not None:
            self.on_segment(index)
        self.marks.append(time.perf_counter())

    def stop(self) -> tuple[list[float], float]:
        self.marks.append(time.perf_counter())
        seconds = [after - before for before, after in pairwise(self.marks)]
        return seconds, self.marks[-1] - self.marks[0]


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
        self._exits = list(exits)
        self._build()

    @property
    def paths(self) -> dict[str, list[int]]:
        """For every exit that may be taken, the segments on the way to it; ``full`` is the last."""
        names = [TEMPORAL, *(e.name for e in self._exits), FULL]
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
        clock = _Clock(on_segment)
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
        return FrameResult(answer, name, diversity, scores, *clock.stop())

    def process_full(self, frame: np.ndarray, on_segment: OnSegment | None = None) -> FrameResult:
        """Answer one frame by the whole network, without heads; the stream's state stays."""
        check_frame(frame)
        clock = _Clock(on_segment)
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
        if step.exit is not None and step.head is not None and self.policy.asks(step.exit.name):
            step.head.run()
            self._head_answer(step.head, frame)
        if index == len(self._steps):
            self._last_answer(frame)

    def reset(self) -> None:
        """Forget the stream."""
        self.temporal.reset()

    def _descend(
        self, frame: np.ndarray, clock: _Clock, scores: dict[str, float]
    ) -> tuple[Answer, str]:
        familiarity = self.temporal.familiarity
        self._input.write(self.model.preprocess(frame))
        for index, step in enumerate(self._steps):
            clock.segment(index + 1)
            step.stage.run()
            # No head's score can exceed the frame's familiarity: do not run one in vain.
            if step.exit is None or not self.policy.takes(step.exit.name, familiarity):
                continue
            assert step.head is not None
            step.head.run()
            answer = self._head_answer(step.head, frame)
            scores[step.exit.name] = certainty(answer) * familiarity
            if self.policy.takes(step.exit.name, scores[step.exit.name]):
                return answer, step.exit.name
        return self._last_answer(frame), FULL

    def _head_answer(self, head: Piece, frame: np.ndarray) -> Answer:
        outputs = [buffer.read() for buffer in head.outputs]
        if self.model.task == 'classify':
            return self.model.decode(outputs, frame.shape, self.min_score)
        peaks, sides = outputs
        return grid_boxes.decode(peaks[0], sides[0], frame.shape, self.min_score)

    def _last_answer(self, frame: np.ndarray) -> Answer:
        outputs = [buffer.read() for buffer in self._steps[-1].stage.outputs]
        return self.model.decode(outputs, frame.shape, self.min_score)

    def _build(self) -> None:
        example = torch.zeros(1, 3, *self.model.input_size)
        stages = split(self.model.network, example, [e.cut for e in self._exits])
        self._input = self.runtime.buffer(tuple(example.shape))
        self._steps: list[_Step] = []
        # Preparing moves the frame's pixels in and the network's input out.
        macs, bytes_moved, layers = 0, 5 * example.numel(), 0
        if self.policy.asks(TEMPORAL) and isinstance(self.temporal, LearntMemory):
            macs, layers = self.temporal.macs, self.temporal.layers
            bytes_moved += self.temporal.bytes_moved
        self.segments = [Segment('prepare', macs, bytes_moved, layers, _PREPARE_CYCLES)]
        joint = self._input
        for index, stage in enumerate(stages):
            step = _Step(self.runtime.compile(stage.module, [joint]))
            macs, bytes_moved, layers = stage.macs, stage.bytes_moved, stage.layers
            decodes = index == len(stages) - 1
            joint = step.stage.outputs[0]
            if index < len(self._exits):
                step.exit = self._exits[index]
                head: nn.Module = step.exit.head
                if self.model.task == 'detect':
                    head = Peaks(head)  # type: ignore[arg-type]
                step.head = self.runtime.compile(head.eval(), [joint])
                cost = module_cost(head, torch.zeros(joint.shape))
                macs, bytes_moved = macs + cost.macs, bytes_moved + cost.bytes_moved
                layers, decodes = layers + cost.layers, True
            self._steps.append(step)
            cycles = _DECODE_CYCLES if decodes else 0
            self.segments.append(Segment(stage.name, macs, bytes_moved, layers, cycles))


def build(
    model_name: str,
    policy: str = 'e4',
    runtime: str = 'onnxruntime',
    threads: int | None = None,
    checkpoint: Path | None = None,
    min_score: float = 0.2,
) -> EarlyExitEngine:
    """An engine for a model of the zoo with the exits that were fitted for it.

    Args:
        model_name: a name of `zoo.names()`.
        policy: ``full`` or ``e4``.
        runtime: ``onnxruntime`` or ``torch``.
        threads: threads within one operation; None for one per core.
        checkpoint: exits from `e4 fit`; by default those that ship for the model, if any.
        min_score: detections that score less are left out.

    Raises:
        ValueError: an unknown name, or a checkpoint that does not fit.
    """
    if policy not in POLICIES:
        raise ValueError(f'there is no policy {policy!r}; choose one of {POLICIES}')
    model = load_model(model_name)
    fitted = _fitted(model, checkpoint)
    runner = make_runtime(runtime, threads)
    if policy == FULL:
        return EarlyExitEngine(model, FullPolicy(), runner, min_score=min_score)
    return EarlyExitEngine(
        model,
        ThresholdPolicy(fitted.thresholds),
        runner,
        fitted.exits,
        fitted.temporal,
        min_score,
    )


def _fitted(model: VisionModel, path: Path | None) -> Checkpoint:
    if path is None and not default_path(model.name).is_file():
        weights = network_hash(model.network)
        return Checkpoint(model.name, weights, thresholds=dict(_DEFAULT_THRESHOLDS))
    return load(path or default_path(model.name), model)
