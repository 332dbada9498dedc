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

"""A run, assembled from a few names: engine, frequency control, plan and comparison."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnxruntime

from e4_ros import extras
from e4_ros.energy.board_model import (
    BoardModel,
    Cost,
    SegmentWork,
    works_as_if_on,
    works_of,
)
from e4_ros.energy.boards import load_board
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.evaluation.replay import StampedFrames, replay
from e4_ros.evaluation.run_labels import label_problems, load_labels
from e4_ros.evaluation.sources import Source
from e4_ros.evaluation.sources.pacing import paced
from e4_ros.evaluation.waits import period_s, with_waits
from e4_ros.perception.active_plan import Stream, constant_plan
from e4_ros.perception.bundle_cache import open_bundle
from e4_ros.perception.controller import BoardState, Observation, Wishes, refuse_unknown
from e4_ros.perception.controllers import live_spec, make_controller
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.fixed import costs
from e4_ros.perception.edge_link import EdgeCuts, EdgeLink, EdgeOptions, cuts_for
from e4_ros.perception.frame_energy import default_cost
from e4_ros.perception.frequency_control import (
    FrequencyControl,
    ModelledControl,
    NoControl,
)
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.records import FrameRecord, RunInfo, WithWaits
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.profiling.planning.cost_table import CostTable, CostTableError
from e4_ros.vision.inference.audit_budget import DEFAULT_SHARE
from e4_ros.vision.inference.clip_engine import ClipEngine
from e4_ros.vision.inference.closer import DEFAULT_QUALITY
from e4_ros.vision.inference.exit_thresholds import DEFAULT_RISK, FULL
from e4_ros.vision.inference.stream_engine import StreamEngine
from e4_ros.vision.runtime.devices import AUTO, check_name
from e4_ros.vision.runtime.precision import FP32

_CONNECT_S = 3.0  # that a run waits for its edge server at the start
_CARRIED = frozenset({'thresholds', 'plan', 'point'})  # thresholds: those of the exits, or none


@dataclass(frozen=True)
class JobOptions:
    """What to run, and for which board clocks and joules are modelled.

    Attributes:
        controller: Name of the controller, which decides depth and clocks.
        model: Name of a network, path of an ONNX file, or folder of a bundle.
        runtime: ``onnxruntime``, or ``torch``, the reference that bundles were made from.
        device: Device that runs the network, `auto` or one of `devices.DEVICES`.
        board: Name of the board that clocks and joules are modelled for; empty for none.
        board_device: Device that the board is modelled to run the network on; empty: the one that
            runs it.
        plan: Path of a frequency plan; None to make one for equally likely exits.
        table: Path of measured costs that a plan is made on; None for the board's model.
        deadline_s: Latency bound in seconds of a plan that is made; 0: three times the fastest.
        threads: Number of threads of the network.
        precision: Precision of the early-exit network's stages; the full network stays fp32.
        min_score: Least score of a detection; classes are kept whatever they score.
        baseline: Whether the full network runs on every frame, too.
        audit_share: Seconds that audits may compute for each second that answers do.
        check_pay: Whether to disable exits that do not pay on this machine and footage.
        window_s: Length of a clip model's windows in seconds; 0 for that of its training clips.
        window_stride_s: Seconds between the beginnings of two windows; 0 for ``window_s``.
        labels: Path of labels in the MOT format that judge the detections; None for none.
        labels_class: Name of the class that the labels are of; empty for a model's only class, or
            its people.
        edge: The edge server that may be asked, and how.
    """

    controller: str = 'e4'
    model: str = 'pedestrian_ssdlite'
    runtime: str = 'onnxruntime'
    device: str = AUTO
    board: str = ''
    board_device: str = ''
    plan: Path | None = None
    table: Path | None = None
    deadline_s: float = 0.0
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    precision: str = FP32
    min_score: float = 0.3
    tracks: bool = True
    risk: float = DEFAULT_RISK
    quality: str = DEFAULT_QUALITY
    baseline: bool = True
    audit_share: float = DEFAULT_SHARE
    check_pay: bool = True
    window_s: float = 0.0
    window_stride_s: float = 0.0
    labels: Path | None = None
    labels_class: str = ''
    edge: EdgeOptions = field(default_factory=EdgeOptions)


class Job:
    """A run that is loaded and ready; one job is one stream.

    Args:
        options: what to run.

    Attributes:
        labels: Labels that judge the detections, or None.

    Raises:
        ValueError: a name is unknown, or a file does not fit what it is used for.
        MissingExtraError: there are labels, and the extra `labels` is not installed.
        OSError: a file cannot be read.
    """

    def __init__(self, options: JobOptions) -> None:
        self.options = options
        if options.labels is not None:
            extras.require('labels', '`e4 run --labels`')
        spec = live_spec(options.controller)
        self.board = load_board(options.board) if options.board else None
        if options.board_device:
            check_name(options.board_device)
        # An unsure class is still the best one, and agreement is about the best one; what the files
        # leave out is decided when they are written.
        wanted = EngineOptions(
            options.model,
            spec.exits,
            options.runtime,
            threads=options.threads,
            precision=options.precision,
            min_score=options.min_score,
            tracks=options.tracks,
            risk=options.risk,
            quality=options.quality,
            unsure_classes=True,
            window_s=options.window_s,
            window_stride_s=options.window_stride_s,
            audit_share=options.audit_share,
            device=options.device,
        )
        cuts = EdgeCuts()
        if options.edge.server:
            extras.require('edge', '`e4 run --edge`')
            _ = options.edge.config  # what is wrong with it is to be said before anything is loaded
            cuts = cuts_for(options.edge, open_bundle(options.model), options.controller)
        edged = replace(wanted, edge=bool(options.edge.server), cuts=cuts.every)
        self.setup = set_up(edged)
        self.engine = self.setup.engine
        self.labels = load_labels(options.labels, options.labels_class, self.engine.model)
        # What it is compared with runs on the same device.
        peer = replace(wanted, exits=False, precision=FP32, device=self.engine.device)
        self.full = set_up(peer).engine
        self.works = self._works(self.engine)
        self.plan = self._plan()
        self._perceiver = Perceiver(self.engine, self._clocks())
        self._features, self._edge_notes = cuts.features, list[str]()

    def run(
        self,
        frames: StampedFrames,
        limit: int | None = None,
        on_record: Callable[[FrameRecord], None] | None = None,
    ) -> list[FrameRecord]:
        """Process frames in order; see `replay`.

        With an edge server they come at their own pace, as a camera's would: an answer takes real
        time, and the stream must not run ahead of it.
        """
        full, pays = self.full if self.options.baseline else None, self.options.check_pay
        edge = self.options.edge
        if not edge.server:
            return replay(frames, self._perceiver, full, limit, on_record, check_pay=pays)
        link = EdgeLink(edge)
        try:
            [self._perceiver.edge] = link.attach(self.setup, self._features)
            link.wait(_CONNECT_S)
            return replay(paced(frames), self._perceiver, full, limit, on_record, check_pay=pays)
        finally:
            self._edge_notes = [f'edge server {edge.server}: frames came at their own pace']
            self._edge_notes += [text for text in [link.complaint()] if text]
            link.close()

    def info(self, records: list[FrameRecord], source: Source) -> RunInfo:
        """Facts about a run over `source`, when it is over."""
        domains = self.board.domains if self.board else {}
        return RunInfo(
            source=source.name,
            model=self.engine.model.name,
            task=self.engine.model.task,
            class_names=self.engine.model.class_names,
            exits=list(self.engine.paths),
            controller=self.options.controller,
            runtime=self._runtime(),
            device=self.engine.device,
            board=self.options.board,
            board_device=self.options.board_device,
            domain_limits_hz={name: spec.limits_hz for name, spec in domains.items()},
            frames_received=len(records) + source.dropped,
            frames_dropped=source.dropped,
            baseline_energy_j=self._baseline(records).energy_j,
            problems=[*source.problems, *label_problems(self.labels, records, source)],
            with_waits=self.with_waits(records),
            audits=self._perceiver.audits if self._audited() else None,
            exit_notes=self._exit_notes(),
        )

    def _exit_notes(self) -> list[str]:
        economics = self.engine.economics
        verdicts = economics.verdicts.values() if economics else ()
        modelled = []
        if self.board is not None and self.options.precision != FP32:
            modelled = [f'clocks and joules are modelled as for {FP32}']
        return [
            *self._edge_notes,
            *modelled,
            *verdicts,
            *(f'exit {name}: {why}' for name, why in self.engine.off.items()),
            *(self.engine.notes if isinstance(self.engine, ClipEngine) else ()),
        ]

    def _plan(self) -> FrequencyPlan | None:
        options, engine = self.options, self.engine
        stream = Stream(engine.model.name, self.works, dict(engine.paths))
        table = None if options.table is None else CostTable.load(options.table)
        context = Context(stream, table=table, bundle=self.setup.fingerprint)
        controller = make_controller(options.controller, context)
        if self.board is None:
            return None
        given = None
        if options.plan is not None:
            given = FrequencyPlan.load(options.plan)
            given.check_model(engine.model.name, self.setup.segments)
            given.check_devices([work.device for work in self.works])
        tables = {name: tuple(spec.allowed_hz) for name, spec in self.board.domains.items()}
        wishes = Wishes(options.deadline_s, given, str(options.plan), replan=False)
        board = BoardState(self.board.name, tables, power_mode=table.power_mode if table else '')
        if table is not None:
            _, problem = costs(board, context)
            if problem:
                raise CostTableError(problem)
        seen = Observation(board=board, wishes=wishes)
        decision = controller.decide(seen)
        if given is None:
            controller.check(seen)  # nothing is learnt here that could prove the model wrong
        refuse_unknown(decision, _CARRIED, '`e4 run`')
        if decision.point is not None:
            return constant_plan(decision.point, self.board.name, stream)
        return decision.plan

    def _works(self, engine: StreamEngine) -> list[SegmentWork]:
        works, imagined = works_of(engine.segments), self.options.board_device
        return works_as_if_on(imagined, works) if imagined else works

    def _clocks(self) -> FrequencyControl:
        if self.board is None:
            return NoControl()
        return ModelledControl(self.board, self.works, self.plan)

    def _audited(self) -> bool:
        return self.options.audit_share > 0 and self.engine.model.task != 'clips'

    def with_waits(self, records: Sequence[FrameRecord]) -> WithWaits | None:
        """What a run cost with the waits between its frames, as a robot's board pays for them.

        Returns:
            None without a board, or where the stamps are no stream's.
        """
        if self.board is None:
            return None
        model = BoardModel(self.board)
        if self.plan is None:
            spent = {
                name: default_cost(model, self.works, path)
                for name, path in self.engine.paths.items()
            }
        else:
            spent = {
                name: Cost(path.expected_latency_s, path.expected_energy_j)
                for name, path in self.plan.paths.items()
            }
        pace = period_s(records)
        return with_waits(model, records, pace, spent, self.plan, self._baseline(records))

    def _baseline(self, records: Sequence[FrameRecord]) -> Cost:
        """Mean over the frames; a full clip network, too, does not look at all of them."""
        if self.board is None:
            return Cost(math.nan, math.nan)
        model, works = BoardModel(self.board), self._works(self.full)
        exits = Counter(record.full.exit for record in records if record.full) or {FULL: 1}
        costs = [
            (n, default_cost(model, works, self.full.paths[name])) for name, n in exits.items()
        ]
        count = sum(exits.values())
        return Cost(
            sum(n * cost.latency_s for n, cost in costs) / count,
            sum(n * cost.energy_j for n, cost in costs) / count,
        )

    def _runtime(self) -> str:
        threads = self.options.threads
        return (
            f'onnxruntime {onnxruntime.__version__}, {self.options.precision}, '
            f'{threads} thread{"s" if threads != 1 else ""}'
        )
