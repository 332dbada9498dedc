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

"""The files of a run, made from its records; used by `e4 run` and the demo."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros.evaluation.metrics import Labels
from e4_ros.evaluation.report.summary import Summary, summarise
from e4_ros.files import replacing
from e4_ros.perception.annotate import Annotator
from e4_ros.perception.records import FrameRecord, RunInfo
from e4_ros.vision.detections import Detections

StampedFrames = Iterable[tuple[float, np.ndarray]]

_VIDEO_WIDTH = 960
_SAMPLES = 6


@dataclass(frozen=True)
class RunOutputs:
    """The files of a run and its numbers.

    Attributes:
        summary: The run in numbers.
        summary_json: Path of the summary.
        detections_jsonl: Path of the detections, one frame on a line.
        report_html: Path of the page.
        annotated: Path of the video; None where the frames could not be read again.
    """

    summary: Summary
    summary_json: Path
    detections_jsonl: Path
    report_html: Path
    annotated: Path | None


def write_outputs(
    records: Sequence[FrameRecord],
    info: RunInfo,
    out_dir: Path,
    frames: StampedFrames | None = None,
    *,
    fps: float | None = None,
    min_score: float = 0.2,
    labels: Labels | None = None,
    progress: Callable[[int], None] | None = None,
) -> RunOutputs:
    """Write ``summary.json``, ``detections.jsonl``, ``annotated.mp4`` and ``report.html``.

    Args:
        records: A record for each processed frame, by rising ``frame``.
        info: Facts about the whole run.
        out_dir: Folder for the files; made if missing; files of an earlier run are replaced.
        frames: The source's usable frames from the first on: ``record.frame`` counts them. Without
            them there is no video and the report has no pictures.
        fps: Frame rate of the video; by default from the stamps.
        min_score: Detections that score less are left out of ``detections.jsonl``, and neither
            drawn nor judged.
        labels: Labels of the source's frames, which judge the answers.
        progress: Called with the number of frames drawn so far.

    Raises:
        ValueError: no records, or counts that do not add up.
        MissingExtraError: there are labels, and the extra `labels` is not installed.
        OSError: the folder cannot be written.
    """
    from e4_ros.evaluation.report.report import write_report

    summary = summarise(records, info, min_score, labels)
    out_dir.mkdir(parents=True, exist_ok=True)
    names = ('summary.json', 'detections.jsonl', 'annotated.mp4', 'report.html')
    summary_json, detections, video, page = (out_dir / name for name in names)
    summary.save(summary_json)
    write_detections(records, info, detections, min_score)
    samples: dict[int, np.ndarray] = {}
    if frames is not None:
        rate = fps or _rate(records)
        samples = draw_video(
            records, info, frames, video, fps=rate, min_score=min_score, progress=progress
        )
    write_report(records, info, summary, samples, page)
    return RunOutputs(summary, summary_json, detections, page, video if samples else None)


def write_detections(
    records: Iterable[FrameRecord], info: RunInfo, path: Path, min_score: float
) -> None:
    """Write one JSON object a line and a frame."""
    with replacing(path) as scratch, scratch.open('w') as file:
        for record in records:
            file.write(json.dumps(detection_line(record, info.class_names, min_score)) + '\n')


def detection_line(
    record: FrameRecord, class_names: Sequence[str], min_score: float
) -> dict[str, Any]:
    """The object of one frame in ``detections.jsonl``; boxes in pixels of the source image.

    Tracks have an `id` and a `velocity` in pixels a second.
    """
    detections = record.result.detections.above(min_score)
    unknown = not np.isfinite(record.energy_j)
    return {
        'frame': record.frame,
        'stamp': round(record.stamp_s, 9),
        'exit': record.result.exit,
        'detections': [
            {
                'class': class_names[label],
                'score': round(float(score), 4),
                'box': [round(float(value), 2) for value in box],
                **_track(detections, index),
            }
            for index, (box, score, label) in enumerate(
                zip(detections.boxes, detections.scores, detections.labels, strict=True)
            )
        ],
        'latency_ms': round(record.result.latency_s * 1e3, 4),
        'energy_j': None if unknown else float(f'{record.energy_j:.6g}'),
        'energy_source': record.energy_source,
    }


def _track(detections: Detections, index: int) -> dict[str, Any]:
    """What a line says of a detection's track; nothing where nobody tracks."""
    if detections.ids is None or detections.velocities is None:
        return {}
    velocity = [round(float(value), 1) for value in detections.velocities[index]]
    return {'id': int(detections.ids[index]), 'velocity': velocity}


def draw_video(
    records: Sequence[FrameRecord],
    info: RunInfo,
    frames: StampedFrames,
    path: Path,
    *,
    fps: float,
    min_score: float,
    progress: Callable[[int], None] | None = None,
) -> dict[int, np.ndarray]:
    """Draw every processed frame into a video.

    Returns:
        Pictures of a few frames for the page, by frame index.
    """
    from e4_ros.evaluation.report.video_writer import VideoWriter

    annotator = Annotator(info.exits, info.class_names, info.task, min_score, _VIDEO_WIDTH)
    by_frame = {record.frame: record for record in records}
    wanted, kept = set(choose_samples(records)), {}
    last = max(by_frame)
    # Who interrupts the drawing keeps what was drawn, and gets the page.
    with replacing(path) as part, VideoWriter(part, fps) as video, suppress(KeyboardInterrupt):
        for index, (_, frame) in enumerate(frames):
            if index in by_frame:
                picture = annotator.draw(frame, by_frame[index])
                video.write(picture)
                if index in wanted:
                    kept[index] = picture
                if progress is not None:
                    progress(video.frames)
            if index >= last:
                break
    return kept


def choose_samples(records: Sequence[FrameRecord]) -> list[int]:
    """Indices of frames to show: for every exit, the busiest frame of each part of the run."""
    by_exit: dict[str, list[FrameRecord]] = {}
    for record in records:
        by_exit.setdefault(record.result.exit, []).append(record)
    each = max(_SAMPLES // max(len(by_exit), 1), 1)
    chosen = []
    for group in by_exit.values():
        for part in np.array_split(np.arange(len(group)), min(each, len(group))):
            best = max(part, key=lambda i: int((group[i].result.detections.scores > 0.5).sum()))
            chosen.append(group[best].frame)
    return sorted(chosen)[:_SAMPLES]


def _rate(records: Sequence[FrameRecord]) -> float:
    """Frames a second by the stamps; 10 where they say nothing."""
    steps = np.diff([record.stamp_s for record in records])
    steps = steps[steps > 0]
    return float(1 / np.median(steps)) if len(steps) else 10.0
