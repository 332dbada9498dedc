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

"""`e4 demo-learn`: a stream that begins with nothing fitted and ends with fitted exits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from e4_ros import console, extras
from e4_ros.commands import options
from e4_ros.files import write_whole

if TYPE_CHECKING:
    from e4_ros.evaluation.learning_demo import LearningRun


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('demo-learn')(demo_learn)


def demo_learn(
    source: Annotated[str, typer.Argument(help='The camera: a video, folder, bag, …')] = 'vtest',
    out: Annotated[Path, typer.Option(help='Folder for the files.')] = Path('out/demo-learn'),
    learn: Annotated[int, typer.Option(min=40, help='Frames before the fit.')] = 220,
    frames: options.Frames = 0,
    certify: Annotated[float, typer.Option(help='Mean loss a frame to certify.')] = 0.2,
    confidence: Annotated[float, typer.Option(help='Of that.')] = 0.9,
    threads: options.Threads = options.DEFAULTS['threads'],
    quick: Annotated[bool, typer.Option('--quick', help='As in `e4 fit`.')] = False,
) -> None:
    """Show a robot that learns while it drives, without ROS.

    \b
        e4 demo-learn
        e4 demo-learn street.mp4 --learn 600 --quick

    It drives LEARN frames with tracks and the network alone, fits exits to them in a process of low
    priority while the stream stands still, drives on until newer frames certify them, swaps them in
    between two frames and drives to the end. Then the offline teacher judges all of it. OUT holds
    the picture `learning.html` and `learning.json`.
    """  # noqa: D301
    extras.require('train', '`e4 demo-learn`')
    from e4_ros.evaluation.learning_demo import DemoOptions, learn_while_driving
    from e4_ros.evaluation.report.learning_picture import write_learning_picture
    from e4_ros.evaluation.sources import open_source

    stream = open_source(source)
    for old in ('ring', 'fitted', 'fitted.work'):
        shutil.rmtree(out / old, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    chosen = DemoOptions(
        learn=learn,
        frames=frames or None,
        risk=certify,
        confidence=confidence,
        threads=threads,
        fit_options=('--quick',) if quick else (),
    )
    with console.Phases(keep=True) as phases:
        run = learn_while_driving(stream, chosen, out, phases)
    figures = _figures(run)
    write_whole(out / 'learning.json', json.dumps(figures, indent=1) + '\n')
    write_learning_picture(run, out / 'learning.html')
    typer.echo(run.words)
    console.stdout().print(_table(figures))
    typer.echo(f'wrote {out / "learning.html"}')


def _figures(run: LearningRun) -> dict[str, Any]:
    """Figures of each part of the stream; frames as in Python, the end not included."""
    end = len(run.records)
    swap = end if run.swapped is None else run.swapped
    parts = {'learned from': (0, run.learned), 'newer, before the swap': (run.learned, swap)}
    if run.swapped is not None:
        parts['after the swap'] = (swap, end)
    return {
        'words': run.words,
        'frames': end,
        'swapped': run.swapped,
        'parts': {
            name: {
                'frames': [first, last],
                'f1_teacher': run.f1(first, last),
                'key_frames': run.key_frames(first, last),
                'mean_ms': run.mean_ms(first, last),
            }
            for name, (first, last) in parts.items()
            if last > first
        },
    }


def _table(figures: dict[str, Any]) -> Table:
    table = Table('', 'frames', 'F1 by the teacher', 'key frames', 'mean latency', box=None)
    for name, part in figures['parts'].items():
        f1 = part['f1_teacher']
        table.add_row(
            name,
            f'{part["frames"][0]}–{part["frames"][1] - 1}',
            'n/a' if f1 is None else f'{f1:.3f}',
            f'{part["key_frames"]:.0%}',
            f'{part["mean_ms"]:.2f} ms',
        )
    return table
