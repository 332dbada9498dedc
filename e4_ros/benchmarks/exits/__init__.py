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

"""`e4 bench exits`: what the ladder buys beside its peers, and whether its promises are kept."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from e4_ros import console, extras


class Part(str, Enum):
    """What can be measured alone."""

    LADDER = 'ladder'
    TRACK = 'track'
    FITTED = 'fitted'
    RISK = 'risk'
    MEMORY = 'memory'
    CLIPS = 'clips'


_QUICK = [Part.LADDER, Part.TRACK]


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('exits')(exits)


def exits(
    out: Annotated[Path, typer.Option('--json', help='File for the figures; a page beside it.')] = (
        Path('out/bench/exits.json')
    ),
    quick: Annotated[
        bool,
        typer.Option(help='40 frames a stream, few settings, ladder and track only: says little.'),
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help='Threads within an operation.')] = 1,
    footage: Annotated[
        Path | None,
        typer.Option(
            envvar='E4_FOOTAGE',
            help='Folder with more videos, and labels that people drew beside them: gt.txt in a '
            "video's own folder, or a text file whose name begins with the video's, in the MOT "
            'format. Those that begin with vtest are of the packaged video.',
        ),
    ] = None,
    streams: Annotated[
        list[str] | None,
        typer.Option('--stream', help='Measure the ladder on this stream only; may be repeated.'),
    ] = None,
    fitted: Annotated[
        Path | None,
        typer.Option(
            help='Exits from `e4 fit` on frames 0-299 of vtest; by default fitted here, once.'
        ),
    ] = None,
    refit: Annotated[bool, typer.Option(help='Fit again what was fitted before.')] = False,
    parts: Annotated[
        list[Part] | None, typer.Option('--part', help='Measure only this; may be repeated.')
    ] = None,
) -> None:
    """Speed and quality of the ladder and of its peers, on one machine and in turns.

    \b
        e4 bench exits --footage ~/videos --json out/bench/exits.json
        e4 bench exits --part ladder --stream bikes
        e4 bench exits --part fitted --fitted street

    \b
    ladder   every stream by the ladder, by the full network with the same tracker, and by what
             people use instead: the network on every k-th frame with ByteTrack between, smaller
             inputs, int8 and others. And at three risks: does the loss stay below, also at night,
             covered, shaken, after a cut, at half the rate?
    track    what the exit `track` costs a frame with 5 and with 30 objects.
    fitted   `e4 fit` on 300 frames of vtest, fixed and through a moving window; later frames by
             the ladder with these exits and without them.
    risk     the offline promises of `e4 calibrate`, as filmed and perturbed.
    memory   peak of a process.
    clips    clip mode.

    Quality is F1 against labels that people drew where there are some, and beside it against the
    full network with the tracker. docs/measuring.md says what each figure means. The figures are
    saved after each part.
    """  # noqa: D301
    extras.require('train', '`e4 bench exits`')
    extras.require('labels', '`e4 bench exits`')
    from e4_ros.benchmarks.exits import experiment, tables

    wanted = [part.value for part in parts or (_QUICK if quick else list(Part))]
    plan = experiment.Plan(wanted, quick, threads, fitted, refit, footage, streams or [])
    tables.show(experiment.run(plan, out), console.stdout())
    typer.echo(f'wrote {out} and {out.with_suffix(".html")}')
