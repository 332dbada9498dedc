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

"""`e4 precision`: the network in fewer bits, where that pays on this machine."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from e4_ros import console
from e4_ros.commands import options

if TYPE_CHECKING:
    from e4_ros.evaluation.precision import PrecisionTrial


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('precision')(precision)


def precision(
    source: Annotated[str, typer.Argument(help='Footage of the camera: a video, folder, bag, …')],
    model: options.Model = options.DEFAULTS['model'],
    out: Annotated[
        Path | None, typer.Option(help='Bundle to write. [default: that one, in place]')
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help='Try this one alone. [default: int8, then fp16]')
    ] = None,
    least: Annotated[
        float, typer.Option(min=0, max=1, help='Least agreement with fp32 that is kept.')
    ] = 0.9,
    frames: options.Frames = 300,
    threads: options.Threads = options.DEFAULTS['threads'],
) -> None:
    """Make the network in int8 and fp16, measure both here, and keep what pays.

    \b
        e4 precision tuesday.mcap --out ours
        e4 precision tuesday.mcap --model street --only int8

    int8 takes the range of each layer from the first two thirds of the footage; both are tried on
    the rest, in turns with fp32. What is not faster, or says something else, is not kept, and says
    why. Exits themselves stay fp32.

    What is kept lies in the bundle: run this on the robot. Then `e4 run --precision
    int8`, `e4 calibrate --precision int8`, or perception's parameter `precision`.
    """  # noqa: D301
    from e4_ros.evaluation.precision import check_frames, try_precision
    from e4_ros.evaluation.sources import open_source
    from e4_ros.perception.bundle_cache import open_bundle
    from e4_ros.vision.bundle.folder import destination

    table = Table('precision', 'fp32', 'this', 'speed-up', 'agreement', '', box=None)
    folder = open_bundle(model)
    destination(folder, out)
    shown = [frame for _, frame in islice(open_source(source), frames or None)]
    check_frames(len(shown))
    with console.Phases() as phases:
        for tried in only or ('int8', 'fp16'):
            _add(table, try_precision(folder, tried, shown, least, threads or None, phases, out))
            folder = out or folder
    console.stdout().print(table)


def _add(table: Table, trial: PrecisionTrial) -> None:
    table.add_row(
        trial.precision,
        f'{trial.full_ms:.2f} ms',
        f'{trial.ms:.2f} ms',
        f'{trial.speedup:.2f} ×',
        'n/a' if trial.agreement is None else f'{trial.agreement:.3f}',
        f'[yellow]not kept: {trial.refused}[/]' if trial.refused else '[green]kept[/]',
    )
