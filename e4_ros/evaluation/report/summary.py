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

"""The numbers of a run, as ``summary.json`` holds them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from e4_ros.evaluation.metrics import Labels, top1
from e4_ros.evaluation.report.quality import (
    Agreement,
    ByLabels,
    Rounded,
    agreement,
    agreement_with_full,
    by_labels,
)
from e4_ros.files import write_whole
from e4_ros.offload.request import LEGS
from e4_ros.perception.audit_totals import AuditTotals
from e4_ros.perception.records import NO_SOURCE, FrameRecord, RunInfo
from e4_ros.vision.inference.exit_thresholds import TRACK


class Latency(BaseModel):
    """Milliseconds of a frame: of its computation, or from its stamp to its publication."""

    model_config = ConfigDict(extra='forbid')

    p50: Rounded
    p95: Rounded
    p99: Rounded
    mean: Rounded


class FullLatency(BaseModel):
    """Milliseconds of the full network on the same frames, in the same run."""

    model_config = ConfigDict(extra='forbid')

    p50: Rounded
    mean: Rounded


class Audits(BaseModel):
    """Audits: early exits' own detections judged after publishing.

    A detector's judge is the offline teacher's look at the frame, the whole and tiles of it; a
    classifier's the full network.

    Attributes:
        count: Number of audits that came to a verdict.
        passes: Passes of the network that audits took, verdict or not.
        loss: Exit → mean loss: what its F1 against the look lacks of the full network's, never
            below 0; for classes the share that is not the full network's.
        switched_off: Exit → why it was disabled.
        ms_per_frame: Milliseconds that audits add to the mean computation of a frame; not part of
            any latency, since the detections are published before.
        energy_j_per_frame: Joules that audits add to a frame; null where unknown.
    """

    model_config = ConfigDict(extra='forbid')

    count: int
    passes: int
    loss: dict[str, Rounded]
    switched_off: dict[str, str]
    ms_per_frame: Rounded
    energy_j_per_frame: Rounded | None


class Risk(BaseModel):
    """What tracks may cost and cost: mean loss (1 - F1) of a frame.

    The loss is against what the full network with the same tracker would have said.

    Attributes:
        asked: Loss that is allowed.
        seen: Loss at the end of the run, by its last key frames; null where none showed any.
        key_frames: Share of the frames on which the network ran, 0 to 1.
    """

    model_config = ConfigDict(extra='forbid')

    asked: Rounded
    seen: Rounded | None
    key_frames: Rounded


class EdgeServer(BaseModel):
    """What an edge server did for the run.

    Attributes:
        sent: Number of requests; each is answered, expired, refused or lost in the end.
        answered: Number of those that were answered.
        late: Number of those answered after their deadline.
        expired: Number of those whose time was over before anybody computed them.
        refused: Number of those that the server would not compute.
        lost: Number of those of which nobody knows.
        taken: Number of answers that became the detections of their own frame.
        corrected: Number of answers that corrected the tracks of a later frame.
        dropped: Number of answers that were of no use.
        answer_ms: Milliseconds from the start of a frame to the answer to it; null without any.
        legs_ms: Leg of the way → mean milliseconds.
        bytes_per_frame: Mean bytes that a frame of the run sent.
        radio_j_per_frame: Mean joules of sending, by the radio's model; null where it has none.
        why_local: Reason → number of frames that needed the network, of which nothing was sent.
    """

    model_config = ConfigDict(extra='forbid')

    sent: int
    answered: int
    late: int
    expired: int
    refused: int
    lost: int
    taken: int
    corrected: int
    dropped: int
    answer_ms: Latency | None
    legs_ms: dict[str, Rounded]
    bytes_per_frame: Rounded
    radio_j_per_frame: Rounded | None
    why_local: dict[str, int]


class Live(BaseModel):
    """The same frames with the waits between them, as the board of a robot pays for them.

    Attributes:
        period_s: Seconds between two frames of the source.
        energy_j: Mean joules of a frame and the wait behind it.
        baseline_energy_j: The same at full depth and default clocks.
    """

    model_config = ConfigDict(extra='forbid')

    period_s: Rounded
    energy_j: Rounded
    baseline_energy_j: Rounded


class Summary(BaseModel):
    """A run in numbers.

    Attributes:
        frames_received: Number of frames: processed + dropped.
        frames_processed: Number of frames that were processed.
        frames_dropped: Number of frames that were replaced by newer ones or could not be read.
        exits: Exit → number of frames that took it.
        latency_ms: Latency of a frame, from the start of its computation to its detections.
        end_to_end_ms: From an image's stamp to the publication of its detections; null where
            nothing was published.
        full_latency_ms: Latency of the full network, interleaved frame by frame; null without a
            baseline.
        speedup_vs_full: Mean latency of the full network over mean latency of the run.
        f1_vs_full: Agreement with the full network, which says how alike the two are and not which
            is better: micro F1 of the published boxes at IoU .5, or the share of equal top-1
            classes for a classifier. Null where neither found a box, and for clips, where the full
            network's answer to the same window comes at another time.
        agreement: The boxes behind it; null where answers are classes.
        min_score: Least score of a detection: less is neither published nor judged.
        by_labels: What labels say of the run and of the full network; null without labels.
        risk: What tracks may cost and cost; null where nobody tracks.
        edge: What an edge server did; null without one.
        energy_j_per_frame: Mean joules of a frame's computation.
        baseline_energy_j_per_frame: Joules of a frame at full depth and default clocks.
        waits_counted: Whether both include the wait for the frame, as on a live stream.
        with_waits: Where they do not: what they would be with it; null where nobody knows.
        audits: Audits; null where none were asked for.
        exit_notes: Sentences on whether the exits pay, and which are disabled.
        device: Device that the network ran on.
        board_device: Device that clocks and joules are modelled for, where it is another.
        energy_source: ``measured`` or ``modelled``; ``mixed`` where frames differ; ``none``.
    """

    model_config = ConfigDict(extra='forbid')

    frames_received: int
    frames_processed: int
    frames_dropped: int
    exits: dict[str, int]
    latency_ms: Latency
    end_to_end_ms: Latency | None = None
    full_latency_ms: FullLatency | None
    speedup_vs_full: Rounded | None
    f1_vs_full: Rounded | None
    agreement: Agreement | None = None
    min_score: Rounded = 0.2
    by_labels: ByLabels | None = None
    risk: Risk | None = None
    edge: EdgeServer | None = None
    energy_j_per_frame: Rounded | None
    baseline_energy_j_per_frame: Rounded | None
    waits_counted: bool = False
    with_waits: Live | None = None
    energy_source: str
    board: str
    model: str
    source: str
    runtime: str
    device: str = ''
    board_device: str = ''
    audits: Audits | None = None
    exit_notes: list[str] = []

    @property
    def peer(self) -> str:
        """What the run is compared with, in words."""
        return 'full network' if self.risk is None else 'full network with tracker'

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_whole(path, self.model_dump_json(indent=2) + '\n')


def summarise(
    records: Sequence[FrameRecord],
    info: RunInfo,
    min_score: float = 0.2,
    labels: Labels | None = None,
) -> Summary:
    """Condense a run.

    Args:
        records: A record for each processed frame.
        info: Facts about the whole run.
        min_score: Detections that score less are not published, and so not judged either.
        labels: Labels of the source's frames, which judge the answers.

    Raises:
        MissingExtraError: there are labels, and the extra `labels` is not installed.
        ValueError: there are no records, or frames got lost without being counted.
    """
    if not records:
        raise ValueError('no frame was processed, so there is nothing to summarise')
    if info.frames_received != len(records) + info.frames_dropped:
        raise ValueError(
            f'{info.frames_received} frames received, but {len(records)} processed and '
            f'{info.frames_dropped} dropped'
        )
    latency = np.array([record.result.latency_s for record in records]) * 1e3
    end_to_end = np.array([record.end_to_end_s for record in records]) * 1e3
    end_to_end = end_to_end[np.isfinite(end_to_end)]
    compared = [record for record in records if record.full is not None]
    full = np.array([record.full.latency_s for record in compared if record.full]) * 1e3
    joules = np.array([record.energy_j for record in records])
    known = bool(np.isfinite(joules).any())
    taken = Counter(record.result.exit for record in records)
    alike = None
    if compared and info.task == 'detect':
        alike = agreement_with_full(compared, min_score)
    return Summary(
        frames_received=info.frames_received,
        frames_processed=len(records),
        frames_dropped=info.frames_dropped,
        exits={name: taken[name] for name in (*info.exits, *(taken.keys() - set(info.exits)))},
        latency_ms=_latency(latency),
        end_to_end_ms=_latency(end_to_end) if len(end_to_end) else None,
        full_latency_ms=(
            FullLatency(mean=float(full.mean()), **_percentiles(full, (50,))) if compared else None
        ),
        speedup_vs_full=float(full.mean() / latency.mean()) if compared else None,
        f1_vs_full=alike.f1 if alike is not None else _same_class(compared, info.task),
        agreement=None if alike is None else agreement(alike),
        min_score=min_score,
        by_labels=None if labels is None else by_labels(records, labels, min_score),
        risk=_risk(records),
        edge=_edge(records),
        energy_j_per_frame=_finite(joules[np.isfinite(joules)].mean()) if known else None,
        baseline_energy_j_per_frame=_finite(info.baseline_energy_j),
        waits_counted=info.waits_counted,
        with_waits=None if info.with_waits is None else Live(**asdict(info.with_waits)),
        energy_source=_energy_source(records),
        board=info.board,
        model=info.model,
        source=info.source,
        runtime=info.runtime,
        device=info.device,
        board_device=info.board_device,
        audits=_audits(info.audits, len(records)) if info.audits is not None else None,
        exit_notes=list(info.exit_notes),
    )


def _risk(records: Sequence[FrameRecord]) -> Risk | None:
    last = records[-1].risk
    if math.isnan(last.asked):
        return None
    key = sum(record.result.exit != TRACK for record in records)
    return Risk(asked=last.asked, seen=_finite(last.seen), key_frames=key / len(records))


def _edge(records: Sequence[FrameRecord]) -> EdgeServer | None:
    told = [record.offload for record in records if record.offload is not None]
    why = Counter(each.why_local for each in told if each.why_local)
    if not told or not (any(told[-1].counts.values()) or why):
        return None
    requests = [request for each in told for request in each.requests]
    total_ms = np.array([request.total_s for request in requests]) * 1e3
    total_ms = total_ms[np.isfinite(total_ms)]
    legs = {leg: [r.legs_s[leg] for r in requests if leg in r.legs_s] for leg in LEGS}
    radio_j = sum(each.radio_j for each in told)
    return EdgeServer(
        **told[-1].counts,
        answer_ms=_latency(total_ms) if len(total_ms) else None,
        legs_ms={leg: float(np.mean(took)) * 1e3 for leg, took in legs.items() if took},
        bytes_per_frame=sum(each.sent_bytes for each in told) / len(records),
        radio_j_per_frame=radio_j / len(records) if radio_j else None,
        why_local=dict(why),
    )


def _audits(totals: AuditTotals, frames: int) -> Audits:
    return Audits(
        count=totals.count,
        passes=totals.passes,
        loss=totals.means,
        switched_off=totals.switched_off,
        ms_per_frame=totals.seconds / frames * 1e3,
        energy_j_per_frame=_finite(totals.energy_j / frames),
    )


def _same_class(compared: Sequence[FrameRecord], task: str) -> float | None:
    if task != 'classify' or not compared:
        return None
    ours = [record.result.detections for record in compared]
    return top1(ours, [record.full.detections for record in compared if record.full])


def _latency(values_ms: np.ndarray) -> Latency:
    return Latency(mean=float(values_ms.mean()), **_percentiles(values_ms, (50, 95, 99)))


def _percentiles(values: np.ndarray, which: tuple[int, ...]) -> dict[str, float]:
    return {f'p{q}': float(np.percentile(values, q)) for q in which}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _energy_source(records: Sequence[FrameRecord]) -> str:
    sources = {record.energy_source for record in records}
    if len(sources) == 1:
        return sources.pop()
    return 'mixed' if sources - {NO_SOURCE} else NO_SOURCE
