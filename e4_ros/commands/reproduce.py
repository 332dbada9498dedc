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

"""`e4 reproduce`: E4 against kernel governors, learning governors and its own variants."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e4_ros import console, extras
from e4_ros.files import write_whole

if TYPE_CHECKING:
    from e4_ros.evaluation.simulation.reproduction import Backbone

MODELS = ('pedestrian_ssdlite', 'efficientnet_lite0')
QUICK_BOARDS = ('jetson_nano', 'jetson_orin_nano')
QUICK_FRAMES, QUICK_TRAIN_FRAMES, QUICK_STREAMS = 60, 500, 2


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('reproduce')(reproduce)


def reproduce(
    out: Annotated[
        Path, typer.Option('--json', help='File for the figures; the page lies beside.')
    ] = Path('out/reproduce/reproduce.json'),
    source: Annotated[
        str,
        typer.Option(
            help='Run the networks on this stream (a video, bag or name) and see where its frames '
            'leave them; empty: take the record of `vtest` that ships.'
        ),
    ] = '',
    skip: Annotated[
        int, typer.Option(min=0, help='Leave out the first frames, which exits may have learned.')
    ] = 500,
    frames: Annotated[int, typer.Option(min=20, help='Frames of the stream.')] = 200,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help='Bundle from `e4 fit`, of either network, to run on the stream (default: vtest).'
        ),
    ] = None,
    exits_record: Annotated[
        Path | None,
        typer.Option(help='exits.json of an earlier run, to play the same exits again.'),
    ] = None,
    train_frames: Annotated[
        int, typer.Option(min=0, help='Frames each learning governor may learn on; 0: none learn.')
    ] = 4000,
    boards: Annotated[str, typer.Option(help='Boards, comma-separated; empty: the Jetsons.')] = '',
    mode: Annotated[
        str,
        typer.Option(
            help='Power mode of the boards: empty for the one in which each ships, `top` for the '
            'one that allows the most, or a name.'
        ),
    ] = '',
    paces: Annotated[
        str,
        typer.Option(
            help='Times between frames, in times of the fastest latency, comma-separated; the '
            'first is shown in detail, and learning governors play there only.'
        ),
    ] = '1.5,2,3,5',
    streams: Annotated[
        int,
        typer.Option(min=1, help='Streams of each scene: the record, and others drawn from it.'),
    ] = 5,
    quick: Annotated[
        bool,
        typer.Option(help='Two boards, two streams, little learning: to see that it runs.'),
    ] = False,
) -> None:
    """Five boards, two backbones, two workloads, all controllers: one page and one JSON.

    The boards are modelled; where the frames leave the networks comes from a real stream: the
    record that ships says how it was made. With a camera of your own, and exits fitted to it:

    \b
        e4 fit monday.mcap --out ssdlite
        e4 fit monday.mcap --model efficientnet_lite0 --out lite0
        e4 reproduce --source tuesday.mcap --model ssdlite --model lite0

    Learning governors need the extra `learn` (gymnasium, stable-baselines3).
    """  # noqa: D301
    from e4_ros.energy.boards import PAPER_BOARDS
    from e4_ros.evaluation.exit_record import SHIPPED, about_exits, load_exits, save_exits
    from e4_ros.evaluation.simulation.reproduction import board_in
    from e4_ros.evaluation.simulation.reproduction_page import write_page
    from e4_ros.evaluation.simulation.reproduction_run import SWEEP_STREAMS, play_all
    from e4_ros.evaluation.simulation.reproduction_summary import by_pace, summarise
    from e4_ros.evaluation.simulation.reproduction_table import print_summary

    began = time.monotonic()
    names = [b.strip() for b in boards.split(',') if b.strip()]
    names = names or list(PAPER_BOARDS)
    if quick:
        names = names if boards else list(QUICK_BOARDS)
        frames = min(frames, QUICK_FRAMES)
        train_frames = min(train_frames, QUICK_TRAIN_FRAMES)
        streams = min(streams, QUICK_STREAMS)
    times = _paces(paces)
    modes = {name: board_in(name, mode).mode for name in names}  # what is wrong is told now
    if train_frames:
        extras.require(
            'learn', 'training the learning governors (or leave them out: --train-frames 0)'
        )
    with console.Phases() as phases:
        if exits_record is not None or not (source or model):
            backbones = load_exits(exits_record or SHIPPED)
            about = about_exits(exits_record or SHIPPED)
        else:
            source = source or 'vtest'
            backbones = _record(source, skip, frames, model or [], phases)
            about = _about(source, skip, len(backbones[0].e4.exits), model or [])
        table = play_all(
            modes, backbones, times, streams, train_frames, lambda *done: phases('scenes', *done)
        )
    of_pace = by_pace(table)
    summaries = [{'pace': pace, 'summary': summarise(of_pace[pace])} for pace in times]
    seconds = time.monotonic() - began
    settings = {
        'source': about,
        'exits': [
            {'backbone': b.name, 'shares': b.e4.shares(), 'agreement': b.e4.agreement}
            for b in backbones
        ],
        'frames': len(backbones[0].e4.exits),
        'train_frames': train_frames,
        'modes': modes,
        'streams': streams,
        'sweep_streams': min(streams, SWEEP_STREAMS),
        'seconds': seconds,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    about_run = {
        'rows': table,
        'summary': summaries[0]['summary'],
        'paces': summaries,
        'settings': settings,
    }
    write_whole(out, json.dumps(about_run, indent=1))
    save_exits(out.with_name('exits.json'), backbones, about)
    write_page(table, summaries, settings, out.with_suffix('.html'))
    print_summary(console.stdout(), table, summaries)
    files = f'{out}, {out.with_suffix(".html")} and {out.with_name("exits.json")}'
    typer.echo(f'wrote {files} after {seconds / 60:.1f} minutes')


def _paces(text: str) -> list[float]:
    try:
        paces = list(dict.fromkeys(float(pace) for pace in text.split(',')))
    except ValueError as error:
        raise typer.BadParameter(f'--paces: {error}') from None
    if not all(1.2 < pace < 1000 for pace in paces):
        raise typer.BadParameter(
            '--paces: from one frame to the next there must be more than 1.2 times the fastest '
            'latency, for frames of bursts come a fifth of it early'
        )
    return paces


def _record(
    source: str, skip: int, frames: int, exits: Sequence[Path], phases: console.Phases
) -> list[Backbone]:
    """Run both networks on the stream."""
    from itertools import islice

    from e4_ros.evaluation.exit_record import ExitRecordError, record_exits
    from e4_ros.evaluation.sources import open_source

    of_model = {_owner(file): file for file in exits}
    if strangers := sorted(set(of_model) - set(MODELS)):
        raise ExitRecordError(
            f'exits of {", ".join(strangers)}: this runs {" and ".join(MODELS)} only'
        )
    stream = [(float(s), frame) for s, frame in islice(open_source(source), skip, skip + frames)]
    found = []
    for number, model in enumerate(MODELS):

        def tell(what: str, model: str = model, number: int = number) -> None:
            phases('networks', number, len(MODELS), f'{model} on {source}: {what}')

        found.append(record_exits(str(of_model.get(model, model)), stream, tell))
    phases('networks', len(MODELS), len(MODELS))
    return found


def _about(source: str, skip: int, frames: int, exits: Sequence[Path]) -> str:
    """How a record was made, in words."""
    owners = ' and '.join(f'{file.name} for {_owner(file)}' for file in exits)
    return f'frames {skip} to {skip + frames - 1} of {source}, exits: {owners or "those that ship"}'


def _owner(bundle: Path) -> str:
    """Name of the network that a bundle is of."""
    from e4_ros.vision.bundle import read_manifest

    return read_manifest(bundle).model
