"""E4 against the governors, as `e4 reproduce` plays it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('reproduce')(reproduce)


def reproduce(
    out: Annotated[Path, typer.Option('--json', help='File for the figures; a page beside it.')],
    quick: Annotated[bool, typer.Option(help='One board, short training, few frames.')] = False,
) -> None:
    """E4 against kernel governors, learning governors and its own variants."""
    command = [sys.executable, '-m', 'e4_ros.cli', 'reproduce', '--json', str(out)]
    if quick:
        command += ['--boards', 'jetson_nano', '--train-frames', '500', '--frames', '60']
    raise typer.Exit(subprocess.run(command, check=False).returncode)
