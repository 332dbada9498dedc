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

"""`e4 bench`: measure on this machine, and write what was measured as JSON.

Every module of `e4_ros.benchmarks` that defines `register(group)` adds its benchmark; its command
takes `--json FILE` and, where a short form makes sense, `--quick`. The modules keep heavy imports
inside their functions.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from e4_ros import benchmarks, console
from e4_ros.commands.reproduce import reproduce

group = typer.Typer(
    help='Measure on this machine; figures land in a JSON file.', no_args_is_help=True
)


def names() -> list[str]:
    """Names of the benchmarks there are."""
    return sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))


@group.command('all')
def run_all(
    out: Annotated[Path, typer.Option(help='Folder for the JSON files and pages.')] = Path(
        'out/bench'
    ),
) -> None:
    """Run every benchmark, one after the other, each in a process of its own.

    \b
        e4 bench all --out out/bench
    """  # noqa: D301
    out.mkdir(parents=True, exist_ok=True)
    failed = []
    for command in sorted(c.name for c in group.registered_commands if c.name not in (None, 'all')):
        console.note(f'e4 bench {command}')
        status = subprocess.run(
            [
                sys.executable,
                '-m',
                'e4_ros.cli',
                'bench',
                command,
                '--json',
                out / f'{command}.json',
            ],
            check=False,
        ).returncode
        if status:
            failed.append(command)
    if failed:
        raise OSError(f'failed: {", ".join(failed)}')


def register(app: typer.Typer) -> None:
    """Add `e4 bench` with every benchmark there is."""
    for name in names():
        module = importlib.import_module(f'{benchmarks.__name__}.{name}')
        if hasattr(module, 'register'):
            module.register(group)
    told = inspect.getdoc(reproduce) or ''
    group.command('reproduce', help=told.replace('e4 reproduce', 'e4 bench reproduce'))(reproduce)
    app.add_typer(group, name='bench')
