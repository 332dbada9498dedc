"""`e4 run`: the whole job on a video, a folder, a bag or a camera, without ROS."""

from __future__ import annotations

import json
import os
from collections import Counter
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from e4_ros import console
from e4_ros.commands.run_text import summary_table

if TYPE_CHECKING:
    from e4_ros.evaluation.job import Job, JobOptions
    from e4_ros.evaluation.replay import StampedFrames
    from e4_ros.evaluation.report.run_outputs import RunOutputs
    from e4_ros.evaluation.sources import Source
    from e4_ros.perception.records import FrameRecord


class Precision(str, Enum):
    """Of the network's stages."""

    FP32 = 'fp32'
    FP16 = 'fp16'
    INT8 = 'int8'


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('run')(run)


def run(
    source: Annotated[
        str,
        typer.Argument(
            help='A video, a folder of images, a bag (ROS 2 folder, .mcap, .db3, ROS 1 .bag), '
            '/dev/videoN, or `bikes` or `vtest`: real videos that ship in packages.'
        ),
    ],
    controller: Annotated[
        str,
        typer.Option(
            help='Decides depth and clocks. e4: early exits and planned clocks; full: neither; '
            '`e4 controllers` lists the others.'
        ),
    ] = 'e4',
    model: Annotated[str, typer.Option(help='A network of the zoo.')] = 'pedestrian_ssdlite',
    board: Annotated[
        str,
        typer.Option(help='The board whose clocks and joules are modelled; `none` for neither.'),
    ] = 'jetson_orin_nano',
    device: Annotated[
        str,
        typer.Option(
            help='What runs the network: auto, cpu, openvino, cuda or tensorrt. auto takes the '
            'best that is here and computes what the CPU computes.'
        ),
    ] = 'auto',
    board_device: Annotated[
        str,
        typer.Option(
            help='What the modelled board runs the network on, such as cuda; by default what runs '
            'it here.'
        ),
    ] = '',
    plan: Annotated[
        Path | None,
        typer.Option(help='Frequency plan from `e4 profile`; by default one is made now.'),
    ] = None,
    deadline_ms: Annotated[
        float,
        typer.Option(min=0, help='Latency bound of that plan on the board; 0: 3 × the fastest.'),
    ] = 0.0,
    frames: Annotated[int | None, typer.Option(min=1, help='Stop after so many frames.')] = None,
    out: Annotated[Path, typer.Option(help='Folder for the files.')] = Path('out/run'),
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help='Least score of a detection in the files.')
    ] = 0.2,
    precision: Annotated[
        Precision,
        typer.Option(
            help='Of the stages; all but fp32 are made by `e4 precision`, where they pay.'
        ),
    ] = Precision.FP32,
    threads: Annotated[
        int | None, typer.Option(min=1, help='Threads of the network; default: one per core.')
    ] = None,
    baseline: Annotated[
        bool,
        typer.Option(
            help='Also answer every frame with the full network: gives speed-up and F1, and takes '
            'the full network’s time once more.'
        ),
    ] = True,
    audit_share: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help='Share of early answers that the full network checks afterwards; an exit that is '
            'worse than its calibration says is switched off for the rest of the run. 0: none.',
        ),
    ] = 0.04,
    check_pay: Annotated[
        bool,
        typer.Option(help='Rest exits that cost more here than they save, and try them again.'),
    ] = True,
    window_s: Annotated[
        float,
        typer.Option(
            min=0,
            help='Length of a clip model’s windows; 0: that of the clips that it learned from.',
        ),
    ] = 0.0,
    window_stride_s: Annotated[
        float, typer.Option(min=0, help='From one window to the next; 0: they tile the stream.')
    ] = 0.0,
    topic: Annotated[
        str | None, typer.Option(help='Image topic of a bag that has more than one.')
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.01, help='Frame rate of a folder of images (10).')
    ] = None,
) -> None:
    """Run the network with early exits over SOURCE and say what it cost.

    \b
        e4 run bikes
        e4 run last_tuesday.mcap --topic /front/image_raw --out out/tuesday
        e4 run /dev/video0 --frames 300
        e4 run street.mp4 --controller full --board jetson_nano

    The folder OUT then holds `report.html` (open it first), `summary.json`, `annotated.mp4` and
    `detections.jsonl`, one line a frame. Latencies are this machine's; clocks and joules are
    modelled for the board. Ctrl-C ends the run early and keeps what was done.
    """  # noqa: D301
    with console.STDERR.status('loading'):
        from e4_ros.evaluation.job import JobOptions
        from e4_ros.evaluation.sources import open_source

        stream = open_source(source, topic=topic, fps=fps)
        options = JobOptions(
            controller=controller,
            model=model,
            device=device,
            board_device=board_device,
            board='' if board == 'none' else board,
            plan=plan,
            deadline_s=deadline_ms / 1e3,
            threads=threads or len(os.sched_getaffinity(0)),
            precision=precision.value,
            min_score=min_score,
            baseline=baseline,
            audit_share=audit_share,
            check_pay=check_pay,
            window_s=window_s,
            window_stride_s=window_stride_s,
        )
    outputs = _run(stream, options, frames, out)
    shown = console.stdout()
    shown.print(summary_table(outputs))
    for note in outputs.summary.exit_notes:
        shown.print(note, style='dim', markup=False, highlight=False, soft_wrap=True)


def _run(source: Source, options: JobOptions, limit: int | None, out: Path) -> RunOutputs:
    from e4_ros.evaluation.job import Job
    from e4_ros.evaluation.replay import recorded
    from e4_ros.evaluation.report.run_outputs import write_outputs
    from e4_ros.evaluation.sources import open_source

    out.mkdir(parents=True, exist_ok=True)
    with console.STDERR.status(f'loading {options.model}'):
        job = Job(options)
    kept = out / 'source.mp4'
    frames = source if source.repeatable else recorded(source, kept, source.fps or 30.0)
    with console.Phases(keep=True) as phases:
        with (out / 'detections.jsonl').open('w') as lines:
            records = _replay(job, source, frames, limit, phases, lines)
        info = job.info(records, source)
        for problem in info.problems:
            console.warn(f'{source.name}: {problem}')
        shown = source if source.repeatable else open_source(str(kept))
        return write_outputs(
            records, info, out, shown, fps=source.fps, min_score=options.min_score,
            progress=partial(phases, 'drawing', total=len(records)),
        )  # fmt: skip


def _replay(
    job: Job,
    source: Source,
    frames: StampedFrames,
    limit: int | None,
    phases: console.Phases,
    lines: TextIO,
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

    return job.run(frames, limit, show)
