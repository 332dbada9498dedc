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

"""`e4 bench offload-policies`: what offloading would cost on a link and a board of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('offload-policies')(offload_policies)


def offload_policies(
    board: Annotated[str, typer.Option(help='Virtual board that the robot has.')] = 'jetson_tx2',
    share: Annotated[
        float, typer.Option(min=0.01, max=1.0, help='Share of the CPU that perception gets.')
    ] = 0.25,
    trace: Annotated[
        Path | None,
        typer.Option(help='Log of a link, lines of seconds,Mbit/s; made links otherwise.'),
    ] = None,
    learn: Annotated[
        Path | None, typer.Option(help='Train a policy for this board and write it to this file.')
    ] = None,
    frames: Annotated[int, typer.Option(min=50, help='Frames of a world, or to train on.')] = 1000,
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/offload_policies.json'
    ),
) -> None:
    """Compare policies of offloading on your own link and board, or train one. Modelled.

    \b
        e4 bench offload-policies --trace iperf.csv
        e4 bench offload-policies --board jetson_nano --learn nano.npz --frames 30000

    Without --trace, links are made: 2 to 40 Mbit/s with outages. A policy that was trained runs as
    the controller dvfo:learned=FILE.
    """  # noqa: D301
    from dataclasses import replace

    from e4_ros import console, extras
    from e4_ros.benchmarks.figures import save_figures
    from e4_ros.benchmarks.siblings import offload_policies as policies
    from e4_ros.benchmarks.siblings.regret import show
    from e4_ros.energy.boards import BoardError
    from e4_ros.evaluation.simulation.edge_traces import TraceError, load_trace
    from e4_ros.evaluation.simulation.edge_world import Scenario

    try:
        scenario = replace(Scenario(), board=board, share=share)
        scenario.board_state()
        if trace is not None:
            scenario = replace(scenario, trace=load_trace(trace))
    except (BoardError, TraceError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    if learn is None:
        with console.Phases() as phases:
            rows = policies.compare(
                scenario, range(1, 4), frames, lambda done, of: phases('policies', done, of)
            )
        save_figures({'board': board, 'share': share, 'policies': rows}, out)
        show(rows, f'offloading on {board}')
        typer.echo(f'wrote {out}')
        return
    extras.require('learn', '`e4 bench offload-policies --learn`')
    from e4_ros.evaluation.simulation.edge_learning import train_policy

    with console.Phases() as phases:
        net = train_policy(scenario, frames, told=lambda done, of: phases('training', done, of))
    learn.parent.mkdir(parents=True, exist_ok=True)
    net.save(learn)
    typer.echo(f'wrote {learn}; run it with controller dvfo:learned={learn}')
