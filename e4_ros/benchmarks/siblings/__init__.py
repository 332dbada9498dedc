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

from pathlib import Path
from typing import Annotated

import typer

from e4_ros.benchmarks.parts import known, measure_parts

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
"""Part, which is its key in the JSON file, → module of this folder; see `benchmarks.parts`."""


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('siblings')(siblings)


def siblings(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/siblings.json'
    ),
    parts: Annotated[
        list[str] | None,
        typer.Option('--part', help='What to measure; everything.', callback=known(PARTS)),
    ] = None,
    quick: Annotated[bool, typer.Option(help='Fewer frames.')] = False,
) -> None:
    """Measure offloading, several cameras, versions of a model, and work spread over machines.

    \b
        e4 bench siblings --json out/bench/siblings.json
        e4 bench siblings --part cameras --part versions

    Offload: a robot and an edge server as processes with a shaped link between them go through all
    that goes wrong; no frame may be late. Beside it other ways to use a server, the live teacher,
    and policies in the simulator. Sent: bytes and F1 of features and pictures. Split: whether
    feature maps can be divided between robot and server.

    Cameras: policies for several cameras under service levels, simulated and on four videos.
    Batches: what a batch and a second session are worth here. Versions: policies that choose a
    version of the model by what is weighed.

    Cluster: what a second worker is worth, and frames lost to kills. Fleet: 1 to 10,000 robots,
    simulated.

    Footage with labels is taken from the folder that the variable E4_FOOTAGE names. The file is
    written anew after each part.
    """  # noqa: D301
    measure_parts(__name__, PARTS, parts, quick, out)
