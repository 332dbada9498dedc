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

"""`e4 bench frame`: microseconds of every part of a frame, at every exit and in a crowd."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from e4_ros.benchmarks.figures import save_figures

_OUTSIDE_US = 30.0  # of a frame that the tracks answer, before it is published
_NMS_US = 100.0
_AROUND_MS = 1.0


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('frame')(frame)


def frame(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/frame.json'
    ),
    frames: Annotated[int, typer.Option(min=5, max=200, help='Frames of each kind.')] = 60,
    seconds: Annotated[float, typer.Option(min=1, help='Length of the run with a camera.')] = 20.0,
    quick: Annotated[bool, typer.Option(help='Ten frames of each kind, three seconds.')] = False,
) -> None:
    """Time the parts of a frame on perception's own objects, with 0, 5, 20 and 100 objects.

    \b
        e4 bench frame --quick

    The network runs whole and what it finds is written over, so that the exit and the number of
    objects are as wanted. A daemon steps the clocks of files that look like a board's. `outside_us`
    is the time from the converted image to the first message, less the latency that the message
    reports. Then a camera of 15 images a second, 640×480, runs against the node as it is: from
    receipt to publication, less what the engine took.
    """  # noqa: D301
    from e4_ros.benchmarks.frame.measure import around_engine_ms, nms_us, timed_frames
    from e4_ros.benchmarks.machine import machine
    from e4_ros.bringup.supervisor import check_ros

    about = machine()
    check_ros()
    result: dict[str, Any] = {
        'frames': timed_frames(10 if quick else frames),
        'nms_us': nms_us(),
        'around_engine_ms': around_engine_ms(3.0 if quick else seconds),
        'machine': about,
    }
    save_figures(result, out)
    _print(result)
    typer.echo(f'wrote {out}')


def _print(result: dict[str, Any]) -> None:
    from rich.table import Table

    from e4_ros.console import stdout

    table = Table(title='microseconds of a frame, network apart')
    for name in ('size', 'exit', 'objects', 'outside', 'parts'):
        table.add_column(name, justify='right' if name in ('objects', 'outside') else 'left')
    for row in result['frames']:
        parts = [
            f'{name} {us:.0f}'
            for name, us in row['parts_us'].items()
            if not name.startswith('stage') and not name.endswith('network')
        ]
        head = (row['size'], row['exit'], str(row['objects']), f'{row["outside_us"]:.0f}')
        table.add_row(*head, ', '.join(parts))
    console = stdout()
    console.print(table)
    track = [row for row in result['frames'] if row['exit'] == 'track']
    outside_us = max(row['outside_us'] for row in track)
    loop_us = max(row['outside_loop_us'] for row in track)
    for words, figure, bar, unit in (
        ('a frame of the tracks outside its latency, worst', outside_us, _OUTSIDE_US, 'µs'),
        ('the same where nothing is published between', loop_us, _OUTSIDE_US, 'µs'),
        ('suppression among 100 boxes', result['nms_us']['100'], _NMS_US, 'µs'),
        ('receipt to publication less the engine, p50', result['around_engine_ms']['p50'],
         _AROUND_MS, 'ms'),
    ):  # fmt: skip
        kept = 'kept' if figure <= bar else 'missed'
        console.print(f'{words}: {figure:.2f} {unit}, bar {bar:g} {unit}: {kept}')
