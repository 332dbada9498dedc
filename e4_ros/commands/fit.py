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

"""`e4 fit`: exits for your own camera, from footage without labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from e4_ros import console, extras
from e4_ros.commands import options, run_many
from e4_ros.commands.fit_ring import RingFit, TellingProgress
from e4_ros.commands.own_weights import InputSize, Names, Weights, load_own, size_of

if TYPE_CHECKING:
    from e4_ros.vision.networks.trainable import TrainableModel
    from e4_ros.vision.teacher.offline_teacher import OfflineTeacher

_MOST_FRAMES = 3000  # of a source, in memory at once
_STRETCH = 50  # frames that stay together when footage is thinned


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('fit')(fit)


def fit(
    sources: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(help='Footage of the camera: videos, folders, bags, `vtest`, `bikes`.'),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help='What gets the exits: a network by its name, an ONNX file, or a bundle.'),
    ] = 'pedestrian_ssdlite',
    weights: Weights = None,
    names: Names = None,
    input_size: InputSize = '',
    out: Annotated[Path, typer.Option(help='The bundle to write, a folder.')] = Path('bundle'),
    frames: options.Frames = 0,
    every: Annotated[int, typer.Option(min=1, help='Use every n-th frame.')] = 1,
    cut: Annotated[
        list[float] | None,
        typer.Option(
            min=0.05,
            max=0.95,
            help="Where an exit goes: share of the network's time before it, measured here. Again "
            'for a second exit; rising. [default: 0.4; with --quick none]',
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            '--quick',
            help='A first useful version in a quarter of the time: the temporal exit alone, a '
            'teacher that looks at fewer frames, short trainings.',
        ),
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help='Training steps of the temporal exit. [default: half as many as frames, 400 to '
            '1000; with --quick 250]',
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help='Epochs of each exit between stages. [default: 4]'),
    ] = None,
    seed: options.Seed = 0,
    attention: options.Attention = True,
    memory: options.Memory = True,
    gates: Annotated[
        bool, typer.Option(help='Let gates learn when to answer, or go by how sure answers are.')
    ] = True,
    from_ring: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Learn from what perception kept (its ring_dir), the newest --frames.'),
    ] = None,
    certify: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            help='With --from-ring: then certify this risk on frames that are newer, and wait for '
            'them while perception runs.'
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(help='Of --certify.')] = 0.95,
    progress_fd: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            help='File descriptor that gets progress and result, for programs: JSON lines.'
        ),
    ] = None,
    on: run_many.On = 'here',
    address: run_many.Address = 'auto',
) -> None:
    """Teach exits to answer early, without labels.

    \b
        e4 fit monday.mcap tuesday.mp4 --out street
        e4 fit vtest --frames 300
        e4 fit vtest --frames 300 --quick
        e4 fit yard.mp4 --model torchvision/resnet18 --weights best.pth --names labels.txt
        e4 fit --from-ring RING --certify 0.1 --out street    # what the robot saw lately
        e4 fit monday/*.mcap --on ray --out street            # the teacher on a cluster

    The network itself is the teacher. A detector is asked slowly: over tiles of every frame, with
    the frames before and after; a classifier teaches what it says. Exits learn from four fifths of
    the footage, spread over each source; the rest is played to them as a stream, and their gates
    learn from how well that went. A fit that was interrupted goes on when it is started again in
    the same way. Long sources are thinned to 3000 frames, in stretches. With `--on ray` a
    cluster looks at frames for the teacher, which takes most of the time; what it says is the same.

    Next: `e4 calibrate --model BUNDLE` with other footage, and `e4 run --model BUNDLE`.
    """  # noqa: D301
    extras.require('train', '`e4 fit`')
    if on == 'ray':
        extras.require('cluster', '`e4 fit --on ray`')
    if bool(sources) == bool(from_ring):
        raise typer.BadParameter('give footage, or --from-ring with a ring, and not both')
    from e4_ros.evaluation.against_ladder import keep_if_better
    from e4_ros.vision.export.build import build_bundle
    from e4_ros.vision.training.fit import check_clips
    from e4_ros.vision.training.fit import fit as fit_exits
    from e4_ros.vision.training.fit_settings import FitSettings, quick_settings

    work = out.with_name(f'{out.name}.work')
    network = load_own(model, weights, names, size_of(input_size))
    settings = quick_settings(network.task) if quick else FitSettings()
    settings = replace(
        settings,
        seed=seed,
        steps=steps or settings.steps,
        epochs=epochs or settings.epochs,
        cuts=tuple(cut or settings.cuts),
        attention=attention,
        memory=memory,
        gates=gates,
    )
    ring = None
    if from_ring is not None:
        ring = RingFit(from_ring, frames, certify, confidence)
        sources, clips = [f'ring {from_ring}'], ring.footage.clips
    else:
        clips = [_clip(source, frames, every) for source in sources or ()]
    check_clips(clips)
    out.parent.mkdir(parents=True, exist_ok=True)
    if work.is_dir():
        console.note(f'resuming from {work}, as far as what it holds is of this fit')
    with console.Phases(keep=True) as phases:
        progress = TellingProgress(phases, progress_fd)
        teacher = None
        if on == 'ray':
            teacher = _teacher_on_ray(network, clips, settings.apart_s, address, progress)
        checkpoint = fit_exits(network, clips, settings, progress, work, teacher)
        checkpoint.notes['sources'] = sources
        build_bundle(network, out, checkpoint)
    shutil.rmtree(work, ignore_errors=True)
    for found in checkpoint.exits:
        typer.echo(f'{found.name} leaves the network after {found.cut}')
    for name, share in checkpoint.notes['gate_right_share'].items():
        typer.echo(f'the gate of {name} judged {share:.0%} of the held-out frames right')
    typer.echo(f'wrote {out}')
    if ring is None and network.task == 'detect':
        typer.echo(keep_if_better(out, clips, settings.held_out).words)
    if ring is not None:
        with console.Phases(keep=True) as phases:
            ring.certify(out, TellingProgress(phases, progress_fd))


def _teacher_on_ray(
    network: TrainableModel,
    clips: list[list],
    apart_s: float,
    address: str,
    progress: Callable[[str, int, int], None],
) -> OfflineTeacher:
    """The teacher, once a Ray cluster has looked at every frame for it."""
    from e4_ros.evaluation.spread.looks import look_everywhere
    from e4_ros.evaluation.spread.ray_workers import RayWorkers
    from e4_ros.vision.teacher.offline_teacher import OfflineTeacher

    if network.task != 'detect':
        raise typer.BadParameter(
            f'{network.name} teaches what it says itself, so there is nothing to spread: leave out '
            '--on'
        )
    staged = network.staged()
    teacher = OfflineTeacher(staged, apart_s=apart_s)
    look_everywhere(teacher, staged, clips, lambda: RayWorkers(address), progress)
    return teacher


def _clip(source: str, most: int, every: int) -> list:
    """A source's frames; every other stretch is dropped whenever there are too many."""
    from itertools import islice

    from e4_ros.evaluation.sources import open_source

    kept: list[list] = []
    spacing = 1  # of the stretches that are kept
    for number, frame in enumerate(islice(open_source(source), 0, most * every or None, every)):
        segment, place = divmod(number, _STRETCH)
        if segment % spacing:
            continue
        if place == 0:
            if len(kept) * _STRETCH >= _MOST_FRAMES:
                kept, spacing = kept[::2], spacing * 2
                if segment % spacing:
                    continue
            kept.append([])
        kept[-1].append(frame)
    return [frame for segment in kept for frame in segment]
