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

"""What is kept of every frame, and of the run as a whole."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from e4_ros.perception.audit_totals import AuditTotals
    from e4_ros.perception.offload_stream import FrameOffload
    from e4_ros.vision.inference.frame_result import FrameResult

OperatingPoint = Mapping[str, int]
"""Domain → hertz."""

NO_SOURCE = 'none'
"""`energy_source` where joules are neither measured nor modelled."""


class StreamRisk(NamedTuple):
    """What tracks may cost and cost, as far as the stream has shown; NaN where nobody tracks.

    Attributes:
        asked: Mean loss (1 - F1) of a frame that is allowed.
        seen: What was lost lately, by the key frames; NaN before there was one to show it.
        key_frame_rate: Share of the last frames on which the network ran, 0 to 1.
    """

    asked: float = math.nan
    seen: float = math.nan
    key_frame_rate: float = math.nan


NO_RISK = StreamRisk()
"""Where nobody tracks."""


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One frame: what was answered, where the computation stopped and what it cost.

    Attributes:
        frame: Index into the source's frames.
        stamp_s: Stamp of the image.
        result: Answer, exit, gate scores and seconds of each segment that ran.
        segments: Names of the segments that ran, same order as ``result.segment_s``.
        devices: Device that each of them ran on, same order.
        points: The clocks each of them had; empty where nobody knows.
        energy_j: Joules of the whole frame; NaN where ``energy_source`` is ``none``.
        energy_source: ``measured``, ``modelled`` or ``none``.
        energy_shared: Whether somebody else had a lease of the clocks meanwhile: measured joules
            are the whole board's.
        full: The full network on the same frame, where the run compares.
        risk: What tracks may cost and cost, after this frame.
        end_to_end_s: Seconds from the image's stamp to the publication of its answer; NaN where
            nothing is published, or stamps say no time of the node's clock.
        offload: What an edge server had to do with it; None without one.
    """

    frame: int
    stamp_s: float
    result: FrameResult
    segments: Sequence[str] = ()
    devices: Sequence[str] = ()
    points: Sequence[OperatingPoint] = ()
    energy_j: float = math.nan
    energy_source: str = NO_SOURCE
    energy_shared: bool = False
    full: FrameResult | None = None
    risk: StreamRisk = NO_RISK
    end_to_end_s: float = math.nan
    offload: FrameOffload | None = None

    def mean_point(self) -> dict[str, float]:
        """Clock of each domain over the frame, in hertz, weighted by the segments' seconds."""
        weights = self.result.segment_s
        if not self.points or len(weights) != len(self.points) or not sum(weights) > 0:
            return dict(self.points[-1]) if self.points else {}
        total = sum(weights)
        return {
            domain: sum(w * p[domain] for w, p in zip(weights, self.points, strict=True)) / total
            for domain in self.points[0]
        }


@dataclass(frozen=True)
class WithWaits:
    """Modelled joules of a frame from its start to the start of the next one.

    Attributes:
        period_s: Seconds between two frames of the source.
        energy_j: Mean joules of a frame and the wait behind it; the clocks wait where the plan
            leaves them for the next frame's first segment.
        baseline_energy_j: The same at full depth and default clocks; governors wait at the lowest.
    """

    period_s: float
    energy_j: float
    baseline_energy_j: float


@dataclass(frozen=True)
class RunInfo:
    """What is true of the whole run.

    Attributes:
        source: Name of the source.
        model: Name of the model.
        task: ``detect``, ``classify`` or ``clips``.
        class_names: What a label means.
        exits: Names of all the model's exits, the cheapest first.
        controller: Name of the controller.
        runtime: For people: library, precision and threads.
        device: Device that the network ran on, as its sessions say.
        board: Name of the board whose clocks are stepped; empty without one.
        board_device: Device that clocks and joules of the board are modelled for, where it is not
            the one that ran; empty otherwise.
        domain_limits_hz: Domain → lowest and highest clock of the board.
        frames_received: Frames the source had to give, usable or not.
        frames_dropped: Frames that got no answer; received = processed + dropped.
        baseline_energy_j: A frame at full depth and default clocks; NaN where unknown.
        waits_counted: Whether a frame's joules include the wait for it.
        with_waits: Where they do not: what a frame and the wait behind it would cost, if modelled.
        machine: The computer that measured the latencies.
        problems: What went wrong, in sentences.
        audits: What the full network said of early answers once they were out; None if not asked.
        exit_notes: What is to be said of the exits, in sentences: whether they pay, which are off.
    """

    source: str
    model: str
    task: str
    class_names: Sequence[str]
    exits: Sequence[str]
    controller: str
    runtime: str
    frames_received: int
    frames_dropped: int
    device: str = ''
    board: str = ''
    board_device: str = ''
    domain_limits_hz: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    baseline_energy_j: float = math.nan
    waits_counted: bool = False
    with_waits: WithWaits | None = None
    machine: str = field(default_factory=lambda: machine_name())
    problems: Sequence[str] = ()
    audits: AuditTotals | None = None
    exit_notes: Sequence[str] = ()


def machine_name() -> str:
    """Processor and number of CPUs of this computer, as people name it."""
    count = len(os.sched_getaffinity(0))
    return f'{_processor()}, {count} CPU{"s" if count != 1 else ""}'


def _processor() -> str:
    device_tree = Path('/proc/device-tree/model')
    if device_tree.is_file():
        return device_tree.read_text(errors='replace').strip('\0\n ')
    for line in Path('/proc/cpuinfo').read_text(errors='replace').splitlines():
        if line.startswith('model name'):
            return ' '.join(line.partition(':')[2].split())
    return platform.processor() or platform.machine()
