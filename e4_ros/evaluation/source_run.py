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

"""One source through a loaded job, with the files that say what came of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from e4_ros.evaluation.job import Job
from e4_ros.evaluation.replay import StampedFrames, recorded
from e4_ros.evaluation.report.run_outputs import RunOutputs, detection_line, write_outputs
from e4_ros.evaluation.run_labels import check_labels
from e4_ros.evaluation.sources import Source, open_source
from e4_ros.files import naming

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from e4_ros.perception.records import FrameRecord

Told = Callable[[str, float, 'float | None', str], None]
"""Progress: phase, how much of it is done, how much there is, and a remark."""


class Tap(Protocol):
    """Something that frames and their answers pass through."""

    def frames(self, frames: StampedFrames) -> Iterator[tuple[float, np.ndarray]]:
        """The same frames."""
        ...

    def keep(self, record: FrameRecord) -> None:
        """The newest of them is answered."""
        ...


def run_source(
    job: Job,
    source: Source,
    out: Path,
    limit: int | None = None,
    *,
    told: Told = lambda phase, done, total, remark: None,
    warn: Callable[[str], None] = lambda problem: None,
    tap: Tap | None = None,
) -> RunOutputs:
    """Answer the frames of a source and write the files of the run.

    Args:
        job: A job that has not run.
        source: Frames; those that cannot be read again are kept in the folder.
        out: Folder for the files; made if missing.
        limit: Largest number of frames; None for all.
        told: Function that receives progress.
        warn: Function that receives what went wrong and does not end the run.
        tap: What else sees frames and answers.

    Raises:
        SourceError: there is not one usable frame.
        ValueError: labels do not fit the source.
        OSError: the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    check_labels(job.labels, source)
    kept = out / 'source.mp4'
    frames = source if source.repeatable else recorded(source, kept, source.fps or 30.0)
    answers = out / 'detections.jsonl'
    with naming(answers), answers.open('w') as lines:
        records = _replay(job, source, frames, limit, told, lines, tap)
    info = job.info(records, source)
    for problem in info.problems:
        warn(f'{source.name}: {problem}')
    shown = source if source.repeatable else open_source(str(kept))
    return write_outputs(
        records, info, out, shown, fps=source.fps, min_score=job.options.min_score,
        labels=job.labels, progress=lambda done: told('drawing', done, len(records), ''),
    )  # fmt: skip


def _replay(
    job: Job,
    source: Source,
    frames: StampedFrames,
    limit: int | None,
    told: Told,
    lines: TextIO,
    tap: Tap | None,
) -> list[FrameRecord]:
    """Run; every line is in the file as soon as its frame is answered."""
    counts = [count for count in (limit, source.frame_count) if count is not None]
    total = min(counts, default=None)
    names, least = job.engine.model.class_names, job.options.min_score
    taken: Counter[str] = Counter()

    def show(record: FrameRecord) -> None:
        print(json.dumps(detection_line(record, names, least)), file=lines, flush=True)
        taken[record.result.exit] += 1
        words = '  '.join(f'{name} {taken[name]}' for name in job.engine.paths)
        told(source.name, taken.total(), total, words)
        if tap is not None:
            tap.keep(record)

    return job.run(frames if tap is None else tap.frames(frames), limit, show)
