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
"""`e4 demo-cameras`: four videos as cameras under service levels, beside a plain queue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from e4_ros import console
from e4_ros.commands import options
from e4_ros.files import write_whole


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('demo-cameras')(demo_cameras)


def demo_cameras(
    out: Annotated[Path, typer.Option(help='Folder for the files.')] = Path('out/demo-cameras'),
    seconds: Annotated[float, typer.Option(min=1.0, help='Of each run; two for each load.')] = 9.0,
    load: Annotated[
        list[float] | None,
        typer.Option(min=0.05, max=10.0, help='What is asked for, 1: all; 0.5, 1 and 1.5.'),
    ] = None,
    threads: options.Threads = options.DEFAULTS['threads'],
    footage: Annotated[
        str, typer.Option(envvar='E4_FOOTAGE', help='Folder with more videos to take.')
    ] = '',
) -> None:
    """Show four cameras that share a network and want their answers in time, without ROS.

    \b
        e4 demo-cameras
        e4 demo-cameras --seconds 20 --load 1.2 --threads 1

    Two of the packaged videos at two places each are the cameras; they want answers within 50, 100,
    200 and 200 ms. They send half, all and one and a half times what this machine computes, and are
    answered once under service levels and once in order of arrival. OUT holds the page
    `cameras.html` and `cameras.json`.
    """  # noqa: D301
    from e4_ros.evaluation.camera_run import RULES, four_videos, rates_for, run_cameras
    from e4_ros.evaluation.report.camera_page import depth_shares, words, write_camera_page
    from e4_ros.perception.setup import EngineOptions, set_up

    out.mkdir(parents=True, exist_ok=True)
    videos = four_videos(footage)
    setup = set_up(EngineOptions(threads=threads or None, streams=len(videos)))
    loads, runs = tuple(load or (0.5, 1.0, 1.5)), []
    with console.Phases(keep=True) as phases:
        total = len(loads) * len(RULES)
        phases('runs', 0, total)
        for share in loads:
            rates_hz = rates_for(setup.engines, videos, share)
            for rule in RULES:
                runs.append(run_cameras(setup, videos, rates_hz, seconds, rule, share))
                phases('runs', len(runs), total, f'{rule}, load {share:g}')
    figures = [
        {
            'rule': run.rule,
            'load': run.load,
            'rate_hz': run.rates_hz[0],
            'images': len(run.answers),
            'miss_percent': run.miss_percent,
            'starvation': run.starvation,
            'depth': depth_shares(run),
            'missed': [run.missed(camera) for camera in range(len(videos))],
        }
        for run in runs
    ]
    write_whole(out / 'cameras.json', json.dumps(figures, indent=1) + '\n')
    write_camera_page(runs, out / 'cameras.html')
    for sentence in words(runs):
        typer.echo(sentence)
    typer.echo(f'wrote {out / "cameras.html"}')
