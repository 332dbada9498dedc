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

"""`e4 bench models`: what a detector that somebody brings is recognised as, and what it gains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e4_ros import console

WRONG_INPUT = 2


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('models')(models)


def models(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar='[FILES]...', help='Detectors as ONNX files, each with its sidecar.'
        ),
    ] = None,
    out: Annotated[Path, typer.Option('--json', help='File for the figures; a page beside it.')] = (
        Path('out/bench/models.json')
    ),
    quick: Annotated[bool, typer.Option(help='40 frames a stream: says little.')] = False,
    threads: Annotated[int, typer.Option(min=1, help='Threads within an operation.')] = 1,
    footage: Annotated[
        Path | None,
        typer.Option(envvar='E4_FOOTAGE', help='Folder with more videos, as in `e4 bench exits`.'),
    ] = None,
    streams: Annotated[
        list[str] | None,
        typer.Option('--stream', help='Measure the ladder on this stream only; may be repeated.'),
    ] = None,
) -> None:
    """Whether detectors are read rightly, and what the ladder saves with them; nothing is fitted.

    \b
        e4 bench models best.onnx --footage ~/videos --json out/bench/models.json
        e4 bench models yolo.onnx detr.onnx --stream vtest --quick

    \b
    For each file:
    family     what it was recognised as.
    chain      largest difference between the network run in stages, cut where one, two and three
               tensors are alive, and run whole; and between that and the file itself.
    reference  boxes against the file itself, read by plain code as its authors document it:
               overlap at least .99 and scores within .01 for every box that scores .3.
    full       time of the whole network with its preparation and decoding.
    streams    the ladder against its own full network with the same tracker, in turns in one
               process: speed-up, F1, and how many boxes stand behind it.

    A file that cannot be read is listed with the reason, the others go on, and the exit code is 2.
    What a file does not say itself, such as class names, comes from its sidecar: best.yaml beside
    best.onnx.
    """  # noqa: D301
    from e4_ros.benchmarks.models import experiment, tables

    if not files:
        console.note('no file was named: nothing to measure')
    plan = experiment.Plan(files or [], quick, threads, footage, streams or [])
    result = experiment.run(plan, out)
    tables.show(result, console.stdout())
    typer.echo(f'wrote {out} and {out.with_suffix(".html")}')
    if result['failed']:
        raise typer.Exit(WRONG_INPUT)
