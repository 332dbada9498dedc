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

import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from e4_ros import console, extras
from e4_ros.commands import options, run_many
from e4_ros.commands.run_ring import RingTap
from e4_ros.commands.run_text import summary_table

if TYPE_CHECKING:
    from e4_ros.evaluation.job import JobOptions
    from e4_ros.evaluation.report.run_outputs import RunOutputs
    from e4_ros.evaluation.sources import Source


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('run')(run)


def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            help='A video, a folder of images, a bag (ROS 2 folder, .mcap, .db3, ROS 1 .bag), '
            'a ring, /dev/videoN, a stream (rtsp://…), or `bikes` or `vtest`: real videos that '
            'ship in packages. Several are run and merged.'
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
    edge: Annotated[
        str,
        typer.Option(
            help='Edge server that computes key frames, too (`e4 edge-server`): tcp/HOST:PORT or '
            'tls/HOST:PORT. Frames then come at their own pace, as a camera’s.'
        ),
    ] = '',
    edge_name: options.EdgeName = options.DEFAULTS['edge_name'],
    edge_offload: options.EdgeOffload = options.DEFAULTS['edge_offload'],
    edge_cuts: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            '--edge-cut',
            help='Cut behind which features may be sent; may be given again.',
            rich_help_panel=options.EDGE_PANEL,
        ),
    ] = None,
    edge_bits: options.EdgeBits = options.DEFAULTS['edge_bits'],
    edge_quality: options.EdgeQuality = options.DEFAULTS['edge_quality'],
    edge_deadline_s: options.EdgeDeadlineS = options.DEFAULTS['edge_deadline_s'],
    edge_meanwhile: options.EdgeMeanwhile = options.DEFAULTS['edge_meanwhile'],
    edge_ca: options.EdgeCa = '',
    edge_certificate: options.EdgeCertificate = '',
    edge_key: options.EdgeKey = '',
    radio_w: options.RadioW = options.DEFAULTS['radio_w'],
    on: run_many.On = 'here',
    workers: run_many.WorkerCount = None,
    address: run_many.Address = 'auto',
    ship: run_many.Ship = False,
) -> None:
    """Run the network with early exits over SOURCES and say what it cost.

    \b
        e4 run bikes
        e4 run last_tuesday.mcap --image-topic /front/image_raw --out out/tuesday
        e4 run /dev/video0 --frames 300
        e4 run street.mp4 --controller full --board jetson_nano
        e4 run street.mp4 --labels gt.txt
        e4 run street.mp4 --edge tcp/192.168.1.7:7447 --edge-offload teacher
        e4 run monday/*.mcap --workers 4 --out out/monday
        e4 run monday/*.mcap --on ray --out out/monday

    The folder OUT then holds `report.html` (open it first), `summary.json`, `annotated.mp4` and
    `detections.jsonl`, one line a frame. Latencies are this machine's; clocks and joules are
    modelled for the board. Ctrl-C ends the run early and keeps what was done.

    Of several sources each gets a folder of its own in OUT, and `report.html` and `summary.json`
    there are of all of them. One that cannot be read fails alone, one whose worker died is run
    again, and the same command, given again, goes on with those that are not complete.
    """  # noqa: D301
    spread = None
    if len(sources) > 1 or on != 'here' or workers is not None:
        spread = run_many.Spread(on, workers, address, ship)
        _check_many(sources, spread, ring, labels)
    with console.STDERR.status('loading'):
        from e4_ros.evaluation.job import JobOptions
        from e4_ros.evaluation.sources import open_source
        from e4_ros.perception.edge_link import EdgeOptions

        stream = None
        if spread is None:
            stream = open_source(sources[0], topic=image_topic or None, fps=fps)
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
            edge=EdgeOptions(
                edge,
                edge_name,
                edge_ca,
                edge_certificate,
                edge_key,
                edge_offload,
                tuple(edge_cuts or ()),
                edge_bits,
                edge_quality,
                edge_deadline_s,
                edge_meanwhile,
                radio_w,
            ),
        )
    if spread is not None or stream is None:
        assert spread is not None
        alone = spread.on == 'here' and (spread.workers or 1) == 1
        job_options = replace(job_options, threads=job_options.threads if alone else threads or 1)
        _run_many(sources, job_options, spread, out, frames or None, image_topic, fps)
        return
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
    from e4_ros.evaluation.source_run import run_source

    out.mkdir(parents=True, exist_ok=True)
    with console.STDERR.status(f'loading {wanted.model}'):
        job = Job(wanted)
    for told in job.setup.manifest.origin.recognised:
        console.note(told)
    with console.Phases(keep=True) as phases:
        return run_source(job, source, out, limit, told=phases, warn=console.warn, tap=tap)


def _check_many(
    sources: list[str], spread: run_many.Spread, ring: Path | None, labels: Path | None
) -> None:
    """Refuse, before any work, what several sources or workers cannot have."""
    if spread.on == 'ray':
        extras.require('cluster', '`e4 run --on ray`')
    if ring is not None:
        raise typer.BadParameter('one process writes a ring: give one source and no workers')
    if labels is not None and len(sources) > 1:
        raise typer.BadParameter('labels are of one source; run that one alone')
    if spread.ship and spread.on != 'ray':
        raise typer.BadParameter('--ship sends sources to a Ray cluster: give --on ray')


def _run_many(
    sources: list[str],
    wanted: JobOptions,
    spread: run_many.Spread,
    out: Path,
    limit: int | None,
    topic: str,
    fps: float | None,
) -> None:
    from e4_ros.evaluation.spread.bag_folders import folder_names
    from e4_ros.evaluation.spread.bag_task import Bag

    names = folder_names(sources)
    with console.STDERR.status(f'loading {wanted.model}'):
        _check_options(wanted)
    bags = [
        Bag(name, source, wanted, limit, topic, fps)
        for name, source in zip(names, sources, strict=True)
    ]
    merged = run_many.run_many(bags, out, spread)
    console.stdout().print(run_many.many_table(merged, out))
    if failed := [row for row in merged.bags if row.status == 'failed']:
        console.error(f'{len(failed)} of {len(bags)} sources failed: {failed[0].reason}')
        raise typer.Exit(1)


def _check_options(wanted: JobOptions) -> None:
    """Fail here and once, not on every worker; and make what a network by name is loaded from."""
    from e4_ros.evaluation.job import Job

    if wanted.device in ('auto', 'cpu'):  # others may be on the workers' machines alone
        Job(wanted)
