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

"""`e4 demo-edge`: a robot whose link and edge server come and go within a minute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from e4_ros import console, extras
from e4_ros.files import write_whole

if TYPE_CHECKING:
    from e4_ros.benchmarks.siblings.edge_show import Show


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('demo-edge')(demo_edge)


def demo_edge(
    source: Annotated[
        str,
        typer.Argument(
            help='The camera: a video, folder, bag, …; by default one of E4_FOOTAGE with labels.'
        ),
    ] = '',
    out: Annotated[Path, typer.Option(help='Folder for the files.')] = Path('out/demo-edge'),
    labels: Annotated[
        Path | None, typer.Option(help='Labels of people in the MOT format, to judge by.')
    ] = None,
    seconds: Annotated[float, typer.Option(min=5, help='Length; all is spread over it.')] = 60.0,
    fps: Annotated[float, typer.Option(min=1, max=60, help='Images a second.')] = 12.5,
    share: Annotated[
        float, typer.Option(min=0.05, max=1, help='Share of a core that the robot gets.')
    ] = 0.2,
    within_s: Annotated[float, typer.Option(min=0.01, help='What a frame may take.')] = 0.2,
    room: Annotated[
        str, typer.Option(help='auto, namespaces (needs the kernel’s leave) or relay.')
    ] = 'auto',
) -> None:
    """Show a robot whose link and edge server come and go, without ROS and without root.

    \b
        e4 demo-edge
        e4 demo-edge street.mp4 --labels street.txt --share 0.5

    Robot and server are real processes with a shaped link between them: 20, 5, 1, 0 and 10 Mbit/s
    with one of a hundred packets lost. The server is killed, started again, started with another
    bundle, and with the right one. A second robot without a server sees the same images at the same
    time. OUT holds the page `edge.html` (open it first) and `edge.json`.
    """  # noqa: D301
    extras.require('edge', '`e4 demo-edge`')
    from e4_ros.benchmarks.siblings.edge_demo import DemoOptions, demonstrate
    from e4_ros.benchmarks.siblings.edge_page import headline, write_edge_page

    chosen = DemoOptions(
        source=source,
        labels=labels,
        seconds=seconds,
        rate_hz=fps,
        share=share,
        deadline_s=within_s,
        room=room,
    )
    out.mkdir(parents=True, exist_ok=True)
    with console.Phases(keep=True) as phases:
        show = demonstrate(chosen, phases)
    write_edge_page(show, out / 'edge.html')
    write_whole(out / 'edge.json', json.dumps(_figures(show), indent=1) + '\n')
    for note in show.notes:
        console.note(note)
    typer.echo(headline(show))
    console.stdout().print(_table(show))
    typer.echo(f'wrote {out / "edge.html"}')


def _figures(show: Show) -> dict[str, object]:
    return {
        'deadline_ms': show.deadline_s * 1e3,
        'facts': dict(show.facts),
        'notes': list(show.notes),
        'happenings': [
            {'s': round(h.at_s - show.began_s, 2), 'what': h.words} for h in show.happenings
        ],
        'totals': show.totals(),
    }


def _table(show: Show) -> Table:
    from e4_ros.benchmarks.siblings.edge_page import table_rows

    table = Table('', box=None)
    for name in show.drives:
        table.add_column(name, justify='right')
    for what, values in table_rows(show):
        table.add_row(what, *values)
    return table
