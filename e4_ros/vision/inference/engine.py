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

"""One frame in, one answer out, from the cheapest exit whose gate is trusted."""

from __future__ import annotations

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.audit import Audit, Auditor
from e4_ros.vision.inference.compiled_network import Segment, compile_network, segments_of
from e4_ros.vision.inference.exit_economics import ExitEconomics
from e4_ros.vision.inference.exit_thresholds import EDGE, FULL, TEMPORAL, ExitThresholds
from e4_ros.vision.inference.exit_timing import measure_exits
from e4_ros.vision.inference.frame_result import FrameResult, OnSegment, SegmentTimer
from e4_ros.vision.inference.hold_exit import HoldExit
from e4_ros.vision.inference.learned_temporal_exit import LearnedTemporalExit
from e4_ros.vision.inference.offload_port import NO_PORT, Asked, OffloadPort
from e4_ros.vision.inference.online_risk import OnlineRisk
from e4_ros.vision.inference.pending_audit import PendingAudit
from e4_ros.vision.inference.temporal_exit import TemporalExit
from e4_ros.vision.model import check_frame, check_stamp
from e4_ros.vision.runtime.interfaces import Runtime
from e4_ros.vision.staged_network import StagedNetwork


class EarlyExitEngine:
    """A network cut into stages with exits between them, and the state of one stream.

    Segment 0 prepares the frame and asks the temporal exit, where there is one; segment ``i + 1``
    is stage ``i`` with the exit after it. It is not safe to use from two threads at once.

    Args:
        network: the network in stages, with what comes before and after it.
        thresholds: where to stop.
        runtime: runtime of the stages and exits.
        min_score: detections that score less are left out.
        auditor: says which early answers `audit` checks.
        edge: whether an edge server may answer, by `port`.

    Attributes:
        model: preprocessing and decoding of the network.
        port: the way to an edge server; at first there is none. Whoever is faster answers: between
            stages the engine looks whether the server has.
        handed_over: whether the frame before ended at a cut without an answer, which is the edge
            server's to give.
        economics: rests exits that do not pay; None, as at first, lets all be asked.
        deepest: exit that the next frames may not go beyond: where its gate is not trusted its
            answer is taken all the same. An exit that may not be taken at all limits nothing.
    """

    def __init__(
        self,
        network: StagedNetwork,
        thresholds: ExitThresholds,
        runtime: Runtime,
        min_score: float = 0.2,
        auditor: Auditor | None = None,
        edge: bool = False,
    ):
        self.model = network.model
        self.port: OffloadPort = NO_PORT
        self.handed_over = False
        self._edge = edge
        self.runtime = runtime
        self.min_score = min_score
        self.temporal = _temporal_exit(network, runtime)
        self.auditor = auditor or Auditor()
        self.economics: ExitEconomics | None = None
        self.deepest = FULL
        self._rates = network.rates
        self._exit_names = [*network.early_exits, FULL]
        self._depths = {exit.name: place + 1 for place, exit in network.exit_behind.items()}
        chain = compile_network(network, self.temporal, runtime)
        self._chain, self._input, self._steps = chain, chain.input, chain.steps
        self._crossing = chain.crossing
        self._segments = {
            looks: segments_of(network, chain, self.temporal if looks else None)
            for looks in (False, True)
        }
        self._looked = False
        self._pending: PendingAudit | None = None
        self._last: tuple[tuple[int, ...], float] = ((), -np.inf)  # frame's shape and stamp
        self.thresholds = thresholds

    @property
    def segments(self) -> list[Segment]:
        """What each segment asks of the machine under the thresholds, in order."""
        return self._segments[self._temporal_asked() is not None]

    @property
    def device(self) -> str:
        """Device that runs the network's last stage, as its session says."""
        return self.segments[-1].device

    @property
    def cuts(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Shapes, by name, of what the stages behind each cut read, by the cut's name."""
        return {
            step.cut: {name: buffer.shape for name, buffer in crossing.items()}
            for step, crossing in zip(self._steps[:-1], self._crossing, strict=False)
        }

    @property
    def paths(self) -> dict[str, list[int]]:
        """For every exit that may be taken, the segments on the way to it; ``full`` is the last.

        A frame of the exit `edge` may end before any segment of its path but the first.
        """
        ends = {TEMPORAL: 0} if self.temporal is not None else {}
        ends |= self._depths
        asked = {name: end for name, end in ends.items() if self.thresholds.asks(name)}
        last = {EDGE: len(self._steps)} if self._edge else {}
        asked |= last | {FULL: len(self._steps)}
        return {name: list(range(end + 1)) for name, end in asked.items()}

    def process(
        self,
        frame: np.ndarray,
        stamp_s: float,
        on_segment: OnSegment | None = None,
        prior: Detections | None = None,
        asked: Asked | None = None,
    ) -> FrameResult:
        """Answer one frame of the stream.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: stamp of the frame in seconds; one before the last frame's begins a new stream.
            on_segment: function called with the index of a segment just before it starts.
            prior: where the objects should be now, as tracks have it, for the temporal exit; None:
                the last answer, moved on at constant velocity.
            asked: what was arranged with the port for this frame, where somebody else has done so;
                None: the engine does.

        Raises:
            ValueError: the frame is no such image.
        """
        timer = SegmentTimer(on_segment)
        check_frame(frame)
        check_stamp(stamp_s)
        if frame.shape != self._last[0] or stamp_s < self._last[1]:
            self._drop_audit()
        self._last = frame.shape, stamp_s
        self.handed_over = False
        if asked is None:
            self.port.begin(stamp_s, frame.shape)
        timer.segment(0)
        result = self._answered(frame, stamp_s, timer, prior, asked)
        if self.economics is not None:
            self.economics.note(result.gate_scores, result.exit)
        return result

    @property
    def risk(self) -> OnlineRisk | None:
        """None: tracks are the `Ladder`'s."""
        return None

    @property
    def off(self) -> dict[str, str]:
        """Why, by exit that audits have switched off."""
        return self.auditor.off

    def audit(
        self, frame: np.ndarray, result: FrameResult, on_segment: OnSegment | None = None
    ) -> Audit | None:
        """After a frame's answer is out: one pass of the network for the audit that runs, if any.

        An audit begins with an early answer whose turn it is, and takes as many frames as its judge
        needs passes (`PendingAudit`). One whose stream ends before is dropped.

        Args:
            frame: the frame that was processed last.
            result: result of that frame.
            on_segment: as in `process`.

        Returns:
            The pass, and after the last one the verdict; None where no audit runs.
        """
        self.auditor.budget.earn(result.latency_s)
        if self._pending is None:
            if result.exit not in self._exit_names[:-1] or not self.auditor.is_due(result.exit):
                return None
            self._pending = PendingAudit(result.exit, result.detections, frame, self.model.task)
        audit = self._pending
        passed = self.process_full(audit.part(), on_segment)
        audit.take(passed.detections)
        self.auditor.budget.spend(passed.latency_s, audit.done)
        if not audit.done:
            return Audit(audit.exit, passed)
        self._pending, loss = None, audit.loss()
        switched_off = self.auditor.judge(audit.exit, loss, self.model.task)
        return Audit(audit.exit, passed, loss, switched_off)

    def _drop_audit(self) -> None:
        self._pending = None
        self.auditor.budget.drop()

    def check_pay(self, frame: np.ndarray) -> ExitEconomics:
        """Measure what the exits cost here, and rest those that do not pay from now on.

        It takes some ten frames' time; the stream begins anew.

        Args:
            frame: like those to come.
        """
        costs = measure_exits(self.model, self._chain, self.temporal, frame, self.min_score)
        asked = {name: cost for name, cost in costs.items() if self.thresholds.asks(name)}
        self.economics = ExitEconomics(asked, self._rates)
        self.reset()
        return self.economics

    def process_full(self, frame: np.ndarray, on_segment: OnSegment | None = None) -> FrameResult:
        """Answer one frame by the whole network, without heads; the stream's state stays."""
        check_frame(frame)
        timer = SegmentTimer(on_segment)
        timer.segment(0)
        self._input.write(self.model.preprocess(frame))
        for index, step in enumerate(self._steps):
            timer.segment(index + 1)
            step.stage.run()
        return FrameResult(self._last_detections(frame), FULL, 0.0, {}, *timer.stop())

    def run_segment(self, index: int, frame: np.ndarray, stamp_s: float) -> None:
        """Run one segment alone, on what the frame before left in the buffers: to measure it.

        A segment does here what it does within `process` when its exit is asked and not taken. The
        stream's state stays.

        Args:
            index: index of the segment.
            frame: ``(H, W, 3)`` uint8 RGB, like the frames of the stream.
            stamp_s: stamp of the frame in seconds; not before the last frame's.
        """
        if index == 0:
            if (temporal := self._temporal_asked()) is not None:
                temporal.look(frame, stamp_s)
            self._input.write(self.model.preprocess(frame))
            return
        step = self._steps[index - 1]
        step.stage.run()
        if step.exit is not None and self.thresholds.asks(step.exit.name):
            step.exit.score(frame.shape, self.min_score)
        if index == len(self._steps):
            self._last_detections(frame)

    def reset(self) -> None:
        """Forget the stream."""
        self.port.reset()
        self._drop_audit()
        self._forget()

    def _forget(self) -> None:
        if self.temporal is not None:
            self.temporal.reset()
        for step in self._steps:
            if step.exit is not None:
                step.exit.reset()

    def _answered(
        self,
        frame: np.ndarray,
        stamp_s: float,
        timer: SegmentTimer,
        prior: Detections | None,
        asked: Asked | None,
    ) -> FrameResult:
        diversity, scores = 0.0, {}
        temporal = self._temporal_that_looks()
        if temporal is not None:
            if not self._looked:
                self._forget()  # what it remembers is from before its rest
            diversity, score = temporal.look(frame, stamp_s, prior)
            scores[TEMPORAL] = score
            held = self._ends_at(TEMPORAL) and score > 0  # 0: it has nothing to hold on to
            if held or self._takes(TEMPORAL, score):
                detections = temporal.detections(self.min_score)
                temporal.remember(detections, computed=False)
                return FrameResult(detections, TEMPORAL, diversity, scores, *timer.stop())
        self._looked = temporal is not None
        if asked is None:
            asked = self.port.ask(frame)
        detections, name = self._descend(frame, timer, scores, asked)
        if temporal is not None:
            temporal.remember(detections, computed=True)
        for step in self._steps:
            if step.exit is not None and step.exit.name in scores:
                step.exit.remember(detections)
        return FrameResult(detections, name, diversity, scores, *timer.stop())

    def _descend(
        self, frame: np.ndarray, timer: SegmentTimer, scores: dict[str, float], arranged: Asked
    ) -> tuple[Detections, str]:
        asked = self._looked or self._temporal_asked() is None
        self._input.write(self.model.preprocess(frame))
        for index, step in enumerate(self._steps):
            if (said := self.port.answer()) is not None:
                return said.above(self.min_score), EDGE
            timer.segment(index + 1)
            step.stage.run()
            if arranged.cut and step.cut == arranged.cut and self._send(index):
                self.handed_over = arranged.hand_over
                if self.handed_over:
                    return Detections.empty(), EDGE
            found = step.exit
            if found is None or not asked:
                continue
            ends = self._ends_at(found.name)
            # Where even the best score would not do, the head is not run in vain.
            if not ends and not self._takes(found.name, found.most()):
                continue
            scores[found.name] = found.score(frame.shape, self.min_score)
            if ends or self._takes(found.name, scores[found.name]):
                return found.detections(), found.name
        if (said := self.port.answer(done=True)) is not None:
            return said.above(self.min_score), EDGE
        return self._last_detections(frame), FULL

    def _send(self, index: int) -> bool:
        """Whether the tensors behind a stage are on their way to the edge server."""
        crossing = self._crossing[index]
        return self.port.features({name: each.read() for name, each in crossing.items()})

    def _temporal_asked(self) -> TemporalExit | None:
        return self.temporal if self.thresholds.asks(TEMPORAL) else None

    def _temporal_that_looks(self) -> TemporalExit | None:
        """The temporal exit if it looks at the next frame: for itself, or for those behind."""
        temporal = self._temporal_asked()
        if temporal is None or not self._pays(TEMPORAL):
            return None
        early = [name for name in self._exit_names[:-1] if self.thresholds.asks(name)]
        awake = any(name not in self.off and self._pays(name) for name in early)
        return temporal if awake else None

    def _takes(self, name: str, score: float) -> bool:
        return self.thresholds.takes(name, score) and name not in self.off and self._pays(name)

    def _ends_at(self, name: str) -> bool:
        """Whether the frame may go no deeper, and the exit is one that may be taken."""
        return name == self.deepest and self.thresholds.asks(name) and name not in self.off

    def _pays(self, name: str) -> bool:
        return self.economics is None or self.economics.asks(name)

    def _last_detections(self, frame: np.ndarray) -> Detections:
        stage = self._steps[-1].stage
        outputs = {name: buffer.read() for name, buffer in stage.outputs.items()}
        return self.model.decode(outputs, frame.shape, self.min_score)


def _temporal_exit(network: StagedNetwork, runtime: Runtime) -> TemporalExit | None:
    if network.temporal is not None:
        return LearnedTemporalExit(network.temporal, runtime.host)
    return HoldExit() if network.model.task == 'classify' else None
