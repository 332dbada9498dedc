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

"""Tracks below a network with exits: what answers a stream of a detector's frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from e4_ros.vision.agreement import disagreement
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.audit import Audit
from e4_ros.vision.inference.closer import Attention, Budget
from e4_ros.vision.inference.compiled_network import TRACK_SEGMENT, Segment
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.exit_economics import ExitEconomics
from e4_ros.vision.inference.exit_thresholds import (
    CLOSER,
    EDGE,
    FULL,
    TAKEN,
    TRACK,
    ExitThresholds,
)
from e4_ros.vision.inference.frame_result import FrameResult, OnSegment, SegmentTimer
from e4_ros.vision.inference.late_answers import LateAnswers
from e4_ros.vision.inference.offload_port import BY_TRACKS, NOTHING, Asked, OffloadPort
from e4_ros.vision.inference.online_risk import OnlineRisk
from e4_ros.vision.inference.track_exit import Doubt, TrackExit
from e4_ros.vision.model import check_frame, check_stamp
from e4_ros.vision.tiles import Tile, in_frame, inner_part

LEARNT_SCORE = 0.5
"""Score from which learnt exits mean that something is there; `training` sets them so."""


class Ladder:
    """Carries tracks from frame to frame and runs the network where they become doubtful.

    Every answer is the tracker's, also where the whole network ran: it is the better for it. Where
    an edge server answers, here or for a frame that is past, the tracks learn from it likewise.
    Segment 0 follows the tracks, segment ``i + 1`` is segment ``i`` of the network. It is not safe
    to use from two threads at once.

    Args:
        engine: the network with its own exits; see `tracking.LOWEST` for its `min_score`.
        risk: mean loss that the tracks may cost, above 0, up to 1; see `OnlineRisk`.
        min_score: score from which an object is reported.
        track: whether the exit `track` may be taken; if not, the network runs on every frame, and
            the tracker goes with it.
        passes: passes of the network a frame, on average, from 0 to 1: what key frames leave of
            them goes to closer looks, on frames that the tracks would have answered.

    Attributes:
        model: preprocessing and decoding of the network.
        engine: the network with its own exits.
        risk: what the tracks cost and may cost.
    """

    def __init__(
        self,
        engine: EarlyExitEngine,
        risk: float,
        min_score: float,
        track: bool = True,
        passes: float = 0.0,
    ) -> None:
        self.model, self.engine, self.risk = engine.model, engine, OnlineRisk(risk)
        self._tracks = TrackExit(min_score)
        self._takes = track
        self._budget, self._attention = Budget(passes), Attention(min_score)
        self._found = Detections.empty()
        self._late = LateAnswers(self._tracks, self.risk, self._attention)
        self._deepest = FULL

    @property
    def port(self) -> OffloadPort:
        """The way to an edge server; at first there is none."""
        return self.engine.port

    @port.setter
    def port(self, port: OffloadPort) -> None:
        self.engine.port = port

    @property
    def deepest(self) -> str:
        """Exit that the next frames may not go beyond, trusted or not; `FULL` limits nothing.

        Tracks that have to answer although they are not trusted are counted in the loss that the
        stream has seen, and teach nothing about where the limit of the drift should be. Where there
        are no tracks yet the network's own exits are limited, and where it has none, nothing is.
        """
        return self._deepest

    @deepest.setter
    def deepest(self, name: str) -> None:
        self._deepest = name
        own = self.engine.paths
        self.engine.deepest = name if name in own else next(iter(own)) if name == TRACK else FULL

    @property
    def follows(self) -> bool:
        """Whether the tracks could answer the next frame, if it is one of the same stream."""
        return self._takes and self._tracks.tracker.grey is not None

    @property
    def thresholds(self) -> ExitThresholds:
        """Where frames may stop; `track` is taken from `TAKEN` on, which is where its limit is."""
        own = {TRACK: TAKEN} if self._takes else {}
        return ExitThresholds({**own, **self.engine.thresholds.thresholds})

    @thresholds.setter
    def thresholds(self, wanted: ExitThresholds) -> None:
        self._takes = wanted.asks(TRACK)
        rest = {name: least for name, least in wanted.thresholds.items() if name != TRACK}
        self.engine.thresholds = ExitThresholds(rest)

    @property
    def economics(self) -> ExitEconomics | None:
        """Rests learnt exits that do not pay; following the tracks is never rested."""
        return self.engine.economics

    @property
    def segments(self) -> list[Segment]:
        """What each segment asks of the machine, in order."""
        return [TRACK_SEGMENT, *self.engine.segments]

    @property
    def device(self) -> str:
        """Device that runs the network's last stage, as its session says."""
        return self.engine.device

    @property
    def paths(self) -> dict[str, list[int]]:
        """For every exit that may be taken, the segments on the way to it; ``full`` is the last."""
        behind = self.engine.paths.items()
        paths = {name: [0, *(index + 1 for index in path)] for name, path in behind}
        if self._takes:
            full = paths.pop(FULL)
            closer = {CLOSER: list(full)} if self._budget.passes else {}
            paths = {TRACK: [0], **paths, **closer, FULL: full}
        return paths

    @property
    def off(self) -> Mapping[str, str]:
        """Why, by exit that audits have switched off."""
        return self.engine.off

    def process(
        self, frame: np.ndarray, stamp_s: float, on_segment: OnSegment | None = None
    ) -> FrameResult:
        """Answer one frame of the stream.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: stamp of the frame in seconds; one before the last frame's begins a new stream.
            on_segment: function called with the index of a segment just before it starts.

        Raises:
            ValueError: the frame is no such image.
        """
        timer = SegmentTimer(on_segment)
        check_frame(frame)
        check_stamp(stamp_s)
        timer.segment(0)
        self.port.begin(stamp_s, frame.shape)
        self._late.take(self.port)
        doubt = self._tracks.look(frame, stamp_s)
        if doubt is None:
            self._late.reset()
        trust = 0.0 if doubt is None else self.risk.trust(doubt)
        said = self._tracks.answer()
        scores = {TRACK: trust} if self._takes else {}
        part = self._part(frame, new=doubt is None)
        if self._deepest != FULL:
            part = None  # a closer look is a pass of the whole network
        held = self._takes and self._deepest == TRACK and trust < TAKEN and _is_followed(doubt)
        asked = BY_TRACKS if held else self._arrange(frame, doubt, trust, part)
        if asked.follow and doubt is not None:
            self._by_tracks(doubt, held)
            if trust < TAKEN or self._looks_elsewhere(frame, doubt, part) or part is None:
                return FrameResult(said, TRACK, 1 - trust, scores, *timer.stop())
            timer.behind()
            answer, inner_s = self._look_closer(frame, part, on_segment)
            return FrameResult(answer, CLOSER, 1 - trust, scores, *timer.around(inner_s))
        self._budget.spend()
        timer.behind()
        found = self.engine.process(frame, stamp_s, _shifted(on_segment), said, asked)
        if self.engine.handed_over and doubt is not None:
            self._by_tracks(doubt)
            times = timer.around(found.segment_s)
            return FrameResult(said, EDGE, 1 - trust, scores | found.gate_scores, *times)
        self._found = found.detections
        better = found.exit == EDGE and self.port.better
        answer = self._tracks.key(self._on_one_scale(found), better)
        self._late.key()
        if self._takes and doubt is not None:
            self.risk.key(doubt, disagreement(said, answer, 'detect', score=0.0))
        else:
            self.risk.unaudited()
        times = timer.around(found.segment_s)
        return FrameResult(answer, found.exit, 1 - trust, scores | found.gate_scores, *times)

    def _by_tracks(self, doubt: Doubt, held: bool = False) -> None:
        """The tracks answer the frame; where they are held to it, for want of time."""
        self._tracks.skip()
        self.risk.skipped(doubt, held)
        self._late.skipped(doubt)

    def _arrange(
        self, frame: np.ndarray, doubt: Doubt | None, trust: float, part: Tile | None
    ) -> Asked:
        """Settle who answers a frame: the tracks where it says `follow`, else the network.

        The tracks stand in for an edge server while its answer can still come in time. They never
        do where they have lost the scene, or where they already did so in vain.
        """
        if self.port.overdue():
            return NOTHING
        able = self._takes and doubt is not None and math.isfinite(doubt.drift)
        if able and (trust >= TAKEN or self.port.awaits):
            return BY_TRACKS
        asked = self.port.ask(frame, part or self._unsure(), able)
        if asked.sent or asked.cut:
            self._late.sent(doubt)
        return asked

    def _looks_elsewhere(self, frame: np.ndarray, doubt: Doubt, part: Tile | None) -> bool:
        """Whether the robot need not look closer: nobody shall, or an edge server does."""
        unsure = part or self._unsure()
        if unsure is not None and self.port.ask_part(frame, unsure):
            self._late.sent(doubt)
            return True
        return part is None

    def _unsure(self) -> Tile | None:
        """The part that the tracks are most unsure about, for an edge server that wants one."""
        if not self.port.asks_for_parts:
            return None
        tracker = self._tracks.tracker
        return self._attention.choose(tracker.tracks, tracker.noise.rms)

    def _on_one_scale(self, found: FrameResult) -> Detections:
        """Detections whose score says the same whoever gave it: reported from the same score on.

        Learnt exits of a detector are taught to be right about what scores .5 or more.
        """
        if found.exit in (FULL, EDGE):
            return found.detections
        report = self._tracks.tracker.report_score
        said = found.detections
        scores = np.interp(said.scores, [0.0, LEARNT_SCORE, 1.0], [0.0, report, 1.0])
        return replace(said, scores=scores.astype(np.float32))

    def audit(
        self, frame: np.ndarray, result: FrameResult, on_segment: OnSegment | None = None
    ) -> Audit | None:
        """After a frame's answer is out: one pass for the audit of a learnt exit, if one runs.

        What is judged is that exit's own answer, before the tracker. The tracks are not checked so:
        each key frame does that for nothing. A closer look has nobody above it.

        Args:
            frame: the frame that was processed last.
            result: result of that frame.
            on_segment: as in `process`; segment 0 begins as well, with nothing in it.
        """
        own = replace(result, detections=self._found)
        return self.engine.audit(frame, own, _behind_tracks(on_segment))

    def check_pay(self, frame: np.ndarray) -> ExitEconomics | None:
        """Measure what learnt exits cost here; the stream begins anew. See `EarlyExitEngine`.

        Returns:
            None where there are none.
        """
        if not self.engine.paths.keys() - {EDGE, FULL}:
            return None
        economics = self.engine.check_pay(frame)
        self.reset()
        return economics

    def process_full(self, frame: np.ndarray, on_segment: OnSegment | None = None) -> FrameResult:
        """Answer one frame by the whole network alone; the tracks and the stream's state stay."""
        timer = SegmentTimer(on_segment)
        timer.segment(0)
        timer.behind()
        found = self.engine.process_full(frame, _shifted(on_segment))
        return FrameResult(found.detections, FULL, 0.0, {}, *timer.around(found.segment_s))

    def run_segment(self, index: int, frame: np.ndarray, stamp_s: float) -> None:
        """Run one segment alone, to measure it. See `EarlyExitEngine`; the tracks go on."""
        if index == 0:
            self._tracks.look(frame, stamp_s)
            self._tracks.answer()
            return
        self.engine.run_segment(index - 1, frame, stamp_s)

    def adopt(self, other: Ladder) -> None:
        """Go on with another ladder's stream: with its tracks, and what it has learnt about risk.

        Args:
            other: a ladder of the same settings, which is used no more.
        """
        self._tracks, self.risk = other._tracks, other.risk
        self._budget, self._attention = other._budget, other._attention
        self._late = LateAnswers(self._tracks, self.risk, self._attention)

    def _part(self, frame: np.ndarray, new: bool) -> Tile | None:
        """The part that a closer look goes to where the tracks can answer; None where none may."""
        if not self._takes or not (self._budget.passes or self.port.asks_for_parts):
            return None
        tracker = self._tracks.tracker
        if new or not self._attention.knows(frame.shape):
            self._attention.reset(frame.shape)
        else:
            self._attention.look(self._tracks.camera, tracker.scale, self._tracks.elapsed_s)
        if not self._budget.frame():
            return None
        return self._attention.choose(tracker.tracks, tracker.noise.rms)

    def _look_closer(
        self, frame: np.ndarray, part: Tile, on_segment: OnSegment | None
    ) -> tuple[Detections, list[float]]:
        """The answer after a pass over a part, and the seconds of the network's segments."""
        found = self.engine.process_full(part.crop(frame), _shifted(on_segment))
        self._budget.spend()
        tracker = self._tracks.tracker
        before = tracker.tracks
        inside = in_frame(found.detections, part, frame.shape)
        tracker.update(inside, inner_part(part, frame.shape))
        self._attention.seen(part, before, tracker.tracks)
        return tracker.answer(), found.segment_s

    def reset(self) -> None:
        """Forget the stream; what was learnt of it about risk stays."""
        self._tracks.reset()
        self._late.reset()
        self.engine.reset()


def _is_followed(doubt: Doubt | None) -> bool:
    """Whether the tracks have an answer at all, however doubtful: not after a cut."""
    return doubt is not None and math.isfinite(doubt.drift)


def _shifted(on_segment: OnSegment | None) -> OnSegment | None:
    """For the network's own segments, which come behind the tracks'."""
    return None if on_segment is None else lambda index: on_segment(index + 1)


def _behind_tracks(on_segment: OnSegment | None) -> OnSegment | None:
    """The same for the network alone: the segment before it begins, too, and is empty."""
    if on_segment is None:
        return None

    def begin(index: int) -> None:
        if index == 0:
            on_segment(0)
        on_segment(index + 1)

    return begin
