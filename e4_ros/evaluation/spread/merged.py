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

"""Many bags as one: what their folders hold, added up as one run over all frames would have it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from e4_ros.evaluation.metrics.counts import Counts
from e4_ros.evaluation.report.quality import Boxes, Rounded
from e4_ros.evaluation.report.summary import FullLatency, Latency, Summary
from e4_ros.evaluation.spread.bag_folders import MARK
from e4_ros.files import write_whole


class BagRow(BaseModel):
    """One bag.

    Attributes:
        name: Name of its folder.
        source: What was asked for.
        status: ``done``; ``kept``, where files of an earlier run are complete and fit; ``failed``;
            ``left``, where the command ended before.
        reason: Why it failed; empty otherwise.
        problems: What went wrong in a bag that is done, in sentences.
        workers_lost: How often it was begun again because its worker died.
        host: Machine that ran it; empty where none did.
        seconds: How long that took.
        cpu_seconds: Seconds of a core that it used.
        summary: What its ``summary.json`` says; null where there is none.
    """

    model_config = ConfigDict(extra='forbid')

    name: str
    source: str
    status: str
    reason: str = ''
    problems: list[str] = []
    workers_lost: int = 0
    host: str = ''
    seconds: Rounded = 0.0
    cpu_seconds: Rounded = 0.0
    summary: Summary | None = None


class MergedSummary(BaseModel):
    """All bags together; only those that are done, or kept, count.

    Attributes:
        bags: Each bag.
        frames_received: Number of frames: processed + dropped.
        frames_processed: Number of frames that were processed.
        frames_dropped: Number of frames that could not be read.
        exits: Exit → number of frames that took it.
        latency_ms: Latency of a frame, percentiles over all frames.
        full_latency_ms: Mean latency of the full network on the same frames, weighted by frames,
            as p50 the median of the bags'; null without a baseline.
        speedup_vs_full: Mean latency of the full network over mean latency of the run.
        f1_vs_full: Agreement with the full network, from the counts of all bags' boxes; for
            classes the mean weighted by frames. Null where neither found a box.
        agreement: The boxes behind it; null where answers are classes.
        f1_by_labels: F1 by labels, from the counts of all bags' boxes; null without labels.
        energy_j_per_frame: Mean joules of a frame's computation; null where unknown.
        baseline_energy_j_per_frame: Joules of a frame at full depth and default clocks.
        energy_source: ``measured``, ``modelled``, ``mixed`` or ``none``.
        model: Name of the model.
        board: Name of the board that joules are of.
        runtime: What ran it.
        workers: Where bags ran, in words.
    """

    model_config = ConfigDict(extra='forbid')

    bags: list[BagRow]
    frames_received: int
    frames_processed: int
    frames_dropped: int
    exits: dict[str, int]
    latency_ms: Latency | None
    full_latency_ms: FullLatency | None
    speedup_vs_full: Rounded | None
    f1_vs_full: Rounded | None
    agreement: Boxes | None
    f1_by_labels: Rounded | None
    energy_j_per_frame: Rounded | None
    baseline_energy_j_per_frame: Rounded | None
    energy_source: str
    model: str
    board: str
    runtime: str
    workers: str

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_whole(path, self.model_dump_json(indent=2) + '\n')


def with_summary(row: BagRow, out: Path) -> BagRow:
    """The row of a bag whose folder is complete, with what the folder says."""
    kept = json.loads((out / row.name / MARK).read_text())
    summary = Summary.model_validate_json((out / row.name / 'summary.json').read_text())
    about = {name: kept[name] for name in ('problems', 'host', 'seconds', 'cpu_seconds')}
    return row.model_copy(update={**about, 'summary': summary})


def merge(rows: Sequence[BagRow], out: Path, workers: str) -> MergedSummary:
    """Add up the bags that have a summary.

    Args:
        rows: All bags.
        out: Folder of their folders.
        workers: Where they ran, in words.

    Raises:
        OSError: files of a bag are missing.
    """
    done = [(row, row.summary) for row in rows if row.summary is not None]
    each = [summary for _, summary in done]
    exits: Counter[str] = Counter()
    for summary in each:
        exits.update(summary.exits)
    latency = _latencies(out / row.name / 'detections.jsonl' for row, _ in done)
    alike = [summary.agreement.boxes for summary in each if summary.agreement is not None]
    labelled = [summary.by_labels.run.boxes for summary in each if summary.by_labels is not None]
    full = _mean((s.full_latency_ms.mean, s) for s in each if s.full_latency_ms is not None)
    by_frames = _mean((s.f1_vs_full, s) for s in each)
    sources = {summary.energy_source for summary in each}
    first = each[0] if each else None
    return MergedSummary(
        bags=list(rows),
        frames_received=sum(summary.frames_received for summary in each),
        frames_processed=sum(summary.frames_processed for summary in each),
        frames_dropped=sum(summary.frames_dropped for summary in each),
        exits=dict(exits),
        latency_ms=latency,
        full_latency_ms=None
        if full is None
        else FullLatency(
            mean=full,
            p50=float(np.median([s.full_latency_ms.p50 for s in each if s.full_latency_ms])),
        ),
        speedup_vs_full=full / latency.mean if full and latency else None,
        f1_vs_full=_counts(alike).f1 if alike else by_frames,
        agreement=Boxes(**vars(_counts(alike))) if alike else None,
        f1_by_labels=_counts(labelled).f1,
        energy_j_per_frame=_mean((s.energy_j_per_frame, s) for s in each),
        baseline_energy_j_per_frame=_mean((s.baseline_energy_j_per_frame, s) for s in each),
        energy_source=sources.pop() if len(sources) == 1 else 'mixed' if sources else 'none',
        model=first.model if first else '',
        board=first.board if first else '',
        runtime=first.runtime if first else '',
        workers=workers,
    )


def _counts(boxes: Iterable[Boxes]) -> Counts:
    total = Counts()
    for each in boxes:
        total += Counts(each.hits, each.detections, each.labels)
    return total


def _mean(values: Iterable[tuple[float | None, Summary]]) -> float | None:
    """Mean over the frames of all bags that have the figure."""
    known = [(value, summary.frames_processed) for value, summary in values if value is not None]
    frames = sum(n for _, n in known)
    return sum(value * n for value, n in known) / frames if frames else None


def _latencies(files: Iterable[Path]) -> Latency | None:
    """Percentiles over the frames of all bags, from their lines."""
    values = [json.loads(line)['latency_ms'] for file in files for line in file.open()]
    if not values:
        return None
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    return Latency(p50=p50, p95=p95, p99=p99, mean=float(np.mean(values)))
