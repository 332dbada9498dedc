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

"""`e4 run`: the whole job on a video, a folder, a bag or a camera, without ROS."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional, TextIO

import typer

from e4_ros import console
from e4_ros.commands import options
from e4_ros.commands.run_ring import RingTap
from e4_ros.commands.run_text import summary_table
from e4_ros.files import naming

if TYPE_CHECKING:
    from e4_ros.evaluation.job import Job, JobOptions
    from e4_ros.evaluation.replay import StampedFrames
    from e4_ros.evaluation.report.run_outputs import RunOutputs
    from e4_ros.evaluation.sources import Source
    from e4_ros.perception.records import FrameRecord


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('run')(run)


def run(
    source: Annotated[
        str,
        typer.Argument(
            help='A video, a folder of images, a bag (ROS 2 folder, .mcap, .db3, ROS 1 .bag), '
            'a ring, /dev/videoN, a stream (rtsp://…), or `bikes` or `vtest`: real videos that '
            'ship in packages.'
        ),
    ],
    controller: options.Controller = options.DEFAULTS['controller'],
    model: options.Model = options.DEFAULTS['model'],
    board: Annotated[
        str,
        typer.Option(help='The board whose clocks and joules are modelled; `none` for neither.'),
    ] = 'jetson_orin_nano',
    runtime: options.Runtime = options.DEFAULTS['runtime'],
    device: options.Device = options.DEFAULTS['device'],
    board_device: options.BoardDevice = '',
    plan_file: options.PlanFile = None,
    table_file: options.TableFile = None,
    deadline_s: options.DeadlineS = options.DEFAULTS['deadline_s'],
    frames: options.Frames = 0,
    out: Annotated[Path, typer.Option(help='Folder for the files.')] = Path('out/run'),
    min_score: options.MinScore = options.DEFAULTS['min_score'],
    tracks: options.Tracks = options.DEFAULTS['tracks'],
    risk: options.Risk = options.DEFAULTS['risk'],
    quality: options.Quality = options.DEFAULTS['quality'],
    precision: options.Precision = options.DEFAULTS['precision'],
    threads: options.Threads = options.DEFAULTS['threads'],
    baseline: Annotated[
        bool,
        typer.Option(
            help='Also answer every frame with the full network: gives speed-up and F1, and takes '
            'the full network’s time once more.'
        ),
    ] = True,
    audit_share: options.AuditShare = options.DEFAULTS['audit_share'],
    check_pay: options.CheckPay = options.DEFAULTS['check_pay'],
    window_s: options.WindowS = options.DEFAULTS['window_s'],
    window_stride_s: options.WindowStrideS = options.DEFAULTS['window_stride_s'],
    image_topic: options.ImageTopic = options.DEFAULTS['image_topic'],
    labels: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help='Labels of SOURCE in the MOT format, which judge the detections: F1, average '
            'precision, delay until new objects are reported, id switches.'
        ),
    ] = None,
    labels_class: Annotated[
        str,
        typer.Option(
            help='Class that the labels are of; where it is left out, the only one that the model '
            'has, or its people.'
        ),
    ] = '',
    fps: Annotated[
        float | None, typer.Option(min=0.01, help='Frame rate of a folder of images (10).')
    ] = None,
    ring: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Also keep frames with their answers in this ring, to fit exits to.'),
    ] = None,
    ring_mb: Annotated[int, typer.Option(min=8, help='Megabytes that the ring takes.')] = 200,
    ring_share: options.RingShare = 1.0,
) -> None:
    """Run the network with early exits over SOURCE and say what it cost.

    \b
        e4 run bikes
        e4 run last_tuesday.mcap --image-topic /front/image_raw --out out/tuesday
        e4 run /dev/video0 --frames 300
        e4 run street.mp4 --controller full --board jetson_nano
        e4 run street.mp4 --labels gt.txt

    The folder OUT then holds `report.html` (open it first), `summary.json`, `annotated.mp4` and
    `detections.jsonl`, one line a frame. Latencies are this machine's; clocks and joules are
    modelled for the board. Ctrl-C ends the run early and keeps what was done.
    """  # noqa: D301
    with console.STDERR.status('loading'):
        from e4_ros.evaluation.job import JobOptions
        from e4_ros.evaluation.sources import open_source

        stream = open_source(source, topic=image_topic or None, fps=fps)
        job_options = JobOptions(
            controller=controller,
            model=model,
            runtime=runtime,
            device=device,
            board_device=board_device,
            board='' if board == 'none' else board,
            plan=plan_file,
            table=table_file,
            deadline_s=deadline_s,
            threads=threads or len(os.sched_getaffinity(0)),
            precision=precision,
            min_score=min_score,
            tracks=tracks,
            risk=risk,
            quality=quality,
            baseline=baseline,
            audit_share=audit_share,
            check_pay=check_pay,
            window_s=window_s,
            window_stride_s=window_stride_s,
            labels=labels,
            labels_class=labels_class,
        )
    with RingTap(ring, ring_mb, ring_share) if ring is not None else nullcontext() as tap:
        outputs = _run(stream, job_options, frames or None, out, tap)
    shown = console.stdout()
    shown.print(summary_table(outputs))
    for note in outputs.summary.exit_notes:
        shown.print(note, style='dim', markup=False, highlight=False, soft_wrap=True)


def _run(
    source: Source, wanted: JobOptions, limit: int | None, out: Path, tap: RingTap | None
) -> RunOutputs:
    from e4_ros.evaluation.job import Job
    from e4_ros.evaluation.replay import recorded
    from e4_ros.evaluation.report.run_outputs import write_outputs
    from e4_ros.evaluation.run_labels import check_labels
    from e4_ros.evaluation.sources import open_source

    out.mkdir(parents=True, exist_ok=True)
    with console.STDERR.status(f'loading {wanted.model}'):
        job = Job(wanted)
    for told in job.setup.manifest.origin.recognised:
        console.note(told)
    check_labels(job.labels, source)
    kept = out / 'source.mp4'
    frames = source if source.repeatable else recorded(source, kept, source.fps or 30.0)
    with console.Phases(keep=True) as phases:
        answers = out / 'detections.jsonl'
        with naming(answers), answers.open('w') as lines:
            records = _replay(job, source, frames, limit, phases, lines, tap)
        info = job.info(records, source)
        for problem in info.problems:
            console.warn(f'{source.name}: {problem}')
        shown = source if source.repeatable else open_source(str(kept))
        return write_outputs(
            records, info, out, shown, fps=source.fps, min_score=wanted.min_score,
            labels=job.labels, progress=partial(phases, 'drawing', total=len(records)),
        )  # fmt: skip


def _replay(
    job: Job,
    source: Source,
    frames: StampedFrames,
    limit: int | None,
    phases: console.Phases,
    lines: TextIO,
    tap: RingTap | None,
) -> list[FrameRecord]:
    """Run; every line is in the file as soon as its frame is answered."""
    from e4_ros.evaluation.report.run_outputs import detection_line

    counts = [count for count in (limit, source.frame_count) if count is not None]
    total = min(counts, default=None)
    names, least = job.engine.model.class_names, job.options.min_score
    taken: Counter[str] = Counter()

    def show(record: FrameRecord) -> None:
        print(json.dumps(detection_line(record, names, least)), file=lines, flush=True)
        taken[record.result.exit] += 1
        words = '  '.join(f'{name} {taken[name]}' for name in job.engine.paths)
        phases(source.name, taken.total(), total, words)
        if tap is not None:
            tap.keep(record)

    return job.run(frames if tap is None else tap.frames(frames), limit, show)
