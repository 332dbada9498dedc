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

"""One frame in, one record out: the loop body that node and command line share."""

from __future__ import annotations

import logging

import numpy as np

from e4_ros.perception.audit_totals import AuditTotals
from e4_ros.perception.frequency_control import FrequencyControl, NoControl
from e4_ros.perception.offload_stream import OffloadStream
from e4_ros.perception.records import NO_RISK, FrameRecord, StreamRisk
from e4_ros.vision.inference.audit import Audit
from e4_ros.vision.inference.exit_thresholds import FULL
from e4_ros.vision.inference.ladder import Ladder
from e4_ros.vision.inference.stream_engine import StreamEngine

_log = logging.getLogger(__name__)
_WARM_UPS = 3  # frames at full depth before the first that counts


class Perceiver:
    """An early-exit engine whose segments step the clocks.

    Args:
        engine: Runs the network.
        clocks: Steps the clocks and knows the joules; None where there is neither.
        edge: The engine's way to an edge server; None where there is none.

    Attributes:
        audits: What the audits found and cost so far.
    """

    def __init__(
        self,
        engine: StreamEngine,
        clocks: FrequencyControl | None = None,
        edge: OffloadStream | None = None,
    ) -> None:
        self.engine, self.edge = engine, edge
        self.clocks = clocks or NoControl()
        self.audits = AuditTotals()
        self._paths = engine.paths
        segments = engine.segments
        self._told_of = {
            name: ([segments[i].name for i in path], [segments[i].device for i in path])
            for name, path in self._paths.items()
        }

    def process(self, frame: np.ndarray, stamp_s: float, index: int) -> FrameRecord:
        """Process one frame of the stream.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: Stamp of the image; one before the last frame's begins a new stream.
            index: Number of the frame in its source.

        Raises:
            ValueError: the frame is not such an image.
        """
        result = self.engine.process(frame, stamp_s, self._step)
        ran = len(result.segment_s)  # where an edge server answered, fewer than the path has
        spent = self.clocks.end(result.exit, self._paths[result.exit][:ran])
        names, devices = self._told_of[result.exit]
        return FrameRecord(
            frame=index,
            stamp_s=stamp_s,
            result=result,
            segments=names[:ran],
            devices=devices[:ran],
            points=spent.points,
            energy_j=spent.energy_j,
            energy_source=spent.source,
            energy_shared=spent.shared,
            risk=self.risk,
            offload=None if self.edge is None else self.edge.told(),
        )

    @property
    def risk(self) -> StreamRisk:
        """What tracks may cost and cost; NaN where nobody tracks."""
        risk = self.engine.risk
        if risk is None:
            return NO_RISK
        return StreamRisk(risk.risk, risk.seen, risk.key_share)

    def adopt(self, other: Perceiver) -> None:
        """Go on with the stream of another, which is used no more; tracks keep their ids."""
        if isinstance(self.engine, Ladder) and isinstance(other.engine, Ladder):
            self.engine.adopt(other.engine)

    def audit(self, frame: np.ndarray, record: FrameRecord) -> Audit | None:
        """After an answer is out: one pass of the network for the audit that runs, if any.

        Args:
            frame: The frame that was processed last.
            record: What came of it.

        Returns:
            The pass, and after the last one the verdict; None where no audit runs.
        """
        self.clocks.begin_aside()
        audit = self.engine.audit(frame, record.result, self.clocks.step)
        if audit is None:
            return None
        self.audits.add(audit, self.clocks.end_aside(FULL, self._paths[FULL]).energy_j)
        return audit

    def _step(self, segment: int) -> None:
        """Begin with the first segment, so that an image that is none is no frame to the clocks."""
        if segment == 0:
            self.clocks.begin()
        self.clocks.step(segment)

    def warm_up(self, frame: np.ndarray, check_pay: bool = False, rounds: int = _WARM_UPS) -> None:
        """Run the whole network a few times, so that the first record is like the others.

        Args:
            frame: One like those to come.
            check_pay: Then measure whether the exits pay here; those that do not rest.
            rounds: How often the network is run.
        """
        for _ in range(rounds):
            self.engine.process_full(frame)
        for verdict in self.check_pay(frame) if check_pay else ():
            _log.info(verdict)

    def check_pay(self, frame: np.ndarray) -> list[str]:
        """Measure whether the exits pay here, and rest those that do not; the stream begins anew.

        Args:
            frame: One like those to come.

        Returns:
            A sentence for each exit; none where there is nothing to measure.
        """
        if len(self._paths) == 1:
            return []
        self.clocks.begin_aside()
        economics = self.engine.check_pay(frame)
        self.clocks.end_aside()
        return [] if economics is None else list(economics.verdicts.values())
