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

"""`e4 bench dvfs`: the daemon's latency, its recovery from kills, hostile input, and meters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e4_ros import console


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('dvfs')(dvfs)


def dvfs(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/dvfs.json'
    ),
    quick: Annotated[bool, typer.Option(help='A short form, under a minute.')] = False,
) -> None:
    """Step latency by socket, FUSE, topic and service; meters; kills; fuzzing.

    \b
        e4 bench dvfs --quick

    The file is written anew after each part: a run that is interrupted keeps what it has, with
    "complete": false.
    """  # noqa: D301
    import logging

    from e4_ros.benchmarks.dvfs.parts import FULL, QUICK, run
    from e4_ros.benchmarks.dvfs.report import show

    logging.disable(logging.WARNING)  # hostile clients and killed daemons are the point here
    try:
        result = run(QUICK if quick else FULL, out)
    except KeyboardInterrupt:
        console.note(f'what was measured is in {out}')
        raise
    show(console.stdout(), result)
    typer.echo(f'wrote {out}')
