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

"""`e4 virtual-board`: a robot's computer as a folder."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Kernel(str, Enum):
    """Generation of a kernel's rules."""

    OLD = 'old'
    NEW = 'new'


_HELP = """Serve the clocks, rails and temperatures of a board, under the kernel's rules.

Give the folder to anything that takes a sysfs root:

\b
    e4 virtual-board jetson_orin_nano --mount /tmp/orin &
    e4 dvfs list --sysfs-root /tmp/orin
    echo 0.8 > /tmp/orin/e4/load/gpu
    echo 'eio:*/min_freq' > /tmp/orin/e4/faults

Clocks take effect with the board's delays, governors follow the load, rails show the power of both,
zones heat. `e4/energy_j` is the exact energy so far; `echo 15W > e4/power_mode` does what nvpmodel
does.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('virtual-board', help=_HELP)(virtual_board)


def virtual_board(
    name: Annotated[str, typer.Argument(help='The board, such as `jetson_orin_nano`.')],
    mount: Annotated[
        Path | None,
        typer.Option(help='Serve the board as a file system in this empty folder (FUSE).'),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(help='Write a plain tree into this folder instead and end; needs no FUSE.'),
    ] = None,
    kernel: Annotated[
        Kernel | None,
        typer.Option(help="Rules of a kernel before (old) or with (new) PM QoS; the board's own."),
    ] = None,
    power_mode: Annotated[
        str, typer.Option(help='Power mode that it starts in; by default the one that it ships in.')
    ] = '',
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help='KIND:GLOB[:NUMBER], more than once if you like; kinds are eio, eacces, ebusy, '
            'einval, slow (NUMBER seconds), stuck, unreadable, gone.'
        ),
    ] = None,
) -> None:
    """Serve the clocks, rails and temperatures of a board, under the kernel's rules."""
    from e4_ros.energy.boards import load_board
    from e4_ros.energy.virtual.board import write_tree
    from e4_ros.energy.virtual.mount import serve

    if (mount is None) == (write is None):
        raise typer.BadParameter('give one of --mount DIR and --write DIR')
    board = load_board(name)
    if power_mode:
        board = board.in_mode(power_mode)
    if write is not None:
        typer.echo(write_tree(board, write))
    elif mount is not None:
        typer.echo(f'{name} at {mount}; Ctrl-C ends it')
        serve(board, mount, kernel.value if kernel else None, fault or [])
