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

"""`e4 bench siblings`: DVFO, BCEdge and Infer-EDGE, each beside its exact optimum."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

PARTS: dict[str, str] = {
    'cameras': 'cameras',
    'batches': 'batches',
    'cluster': 'cluster',
    'fleet': 'fleet',
    'sent': 'sent',
    'split': 'split',
    'offload': 'offload',
    'versions': 'versions',
}
"""Part, which is its key in the JSON file, → module of this folder.

A module has `measure(quick: bool)`, which returns plain values, and `show(found)`, which prints
what `measure` returned.
"""


def _known(parts: list[str] | None) -> list[str] | None:
    if unknown := set(parts or []) - set(PARTS):
        raise typer.BadParameter(
            f'no part {", ".join(sorted(unknown))}; there are {", ".join(PARTS)}'
        )
    return parts


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('siblings')(siblings)


def siblings(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/siblings.json'
    ),
    parts: Annotated[
        list[str] | None,
        typer.Option('--part', help='What to measure; everything.', callback=_known),
    ] = None,
    quick: Annotated[bool, typer.Option(help='Fewer frames.')] = False,
) -> None:
    """Measure offloading, several cameras, versions of a model, and work spread over machines.

    \b
        e4 bench siblings --json out/bench/siblings.json

    The file is written anew after each part.
    """  # noqa: D301
    from e4_ros.benchmarks.figures import save_figures
    from e4_ros.benchmarks.machine import machine

    result: dict[str, Any] = {'machine': machine()}
    for name in parts or list(PARTS):
        part = import_module(f'{__name__}.{PARTS[name]}')
        result[name] = part.measure(quick)
        save_figures(result, out)
        part.show(result[name])
    typer.echo(f'wrote {out}')
