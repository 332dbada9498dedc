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

"""`e4 profile`: search the clocks for a model on a board, or on this machine."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from e4_ros import console
from e4_ros.commands import options
from e4_ros.files import write_whole

if TYPE_CHECKING:
    import numpy as np

    from e4_ros.perception.setup import Setup
    from e4_ros.profiling.measuring.this_machine import HostProfile
    from e4_ros.profiling.profile import Profile
    from e4_ros.vision.inference.stream_engine import StreamEngine

HERE = 'here'
_NO_PLAN = 1
_PROGRESS = 'percent done'
_FRAMES = 8  # enough to fill the temporal exit's memory

_HELP = """Find the clocks that cost the least expected energy within a deadline.

A board by its name is computed from its description: instant, and as good as the guesses in it.
`here` measures this machine: the real network, segment by segment, at clocks that the DVFS daemon
sets and restores, joules from its rails or counters. Half a minute or more; keep it quiet.

\b
  e4 profile --board jetson_orin_nano --exit-shares out/run/summary.json
  e4 profile --board here --source last_tuesday.mcap
  e4 profile --table out/profile/table.json --deadline-s 0.025

The last one plans again from what was measured. Files in `out/profile`: plan.yaml (for daemon and
perception), profile.html (pictures), profile.json (everything tried), table.json (if measured).

Where this machine's latencies were measured but there is nothing to plan (no clock that may be set,
or no word of joules), the exit code is 1.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('profile', help=_HELP)(profile)


def profile(
    board: Annotated[
        str, typer.Option(help='`here`, a board of config/boards, or the path of a board file.')
    ] = 'jetson_orin_nano',
    model: options.Model = options.DEFAULTS['model'],
    device: options.Device = options.DEFAULTS['device'],
    board_device: options.BoardDevice = '',
    exit_shares: Annotated[
        Path | None,
        typer.Option(
            help='How often frames stop where: summary.json or detections.jsonl of `e4 run`, or '
            'YAML like "track: 0.7". Without it every exit counts the same.'
        ),
    ] = None,
    deadline_s: options.DeadlineS = options.DEFAULTS['deadline_s'],
    period_ms: Annotated[
        float,
        typer.Option(
            min=options.SHARED['period_ms'].low,
            max=options.SHARED['period_ms'].high,
            help='Milliseconds from one frame to the next: what the board draws between frames '
            'then counts, and without --deadline-s a plan is done before the next frame. 0: frames '
            'alone.',
        ),
    ] = 0.0,
    plan_domains: Annotated[
        str, typer.Option(help='Clocks to plan, like cpu,gpu,emc; empty: cpu and gpu.')
    ] = '',
    out: Annotated[Path, typer.Option(help='Folder for the files.')] = Path('out/profile'),
    yardstick: options.Yardstick = options.DEFAULTS['yardstick'],
    table: Annotated[
        Path | None,
        typer.Option(help='Plan from the table.json of an earlier `--board here` instead.'),
    ] = None,
    source: Annotated[str, options.parameter('source', panel=options.HERE_PANEL)] = (
        options.DEFAULTS['source']
    ),
    power_like: Annotated[
        str,
        typer.Option(
            help='Without any sensor: the board whose power model to take.',
            rich_help_panel=options.HERE_PANEL,
        ),
    ] = '',
    threads: Annotated[
        int, options.parameter('threads', panel=options.HERE_PANEL)
    ] = options.DEFAULTS['threads'],
    sysfs_root: Annotated[Path, options.parameter('sysfs_root', panel=options.HERE_PANEL)] = Path(
        '/'
    ),
    socket_path: Annotated[
        Path | None, options.parameter('socket_path', panel=options.HERE_PANEL)
    ] = None,
    state_dir: Annotated[
        Path | None, options.parameter('state_dir', panel=options.HERE_PANEL)
    ] = None,
) -> None:
    """See `_HELP`."""
    from e4_ros.commands.profile_text import show
    from e4_ros.profiling.planning.exit_shares import read_exit_shares

    names = [d.strip() for d in plan_domains.split(',') if d.strip()]
    shares = read_exit_shares(exit_shares) if exit_shares is not None else None
    if board_device and (table is not None or board == HERE):
        raise ValueError(
            '--board-device is for a board that is only modelled; what is measured runs on --device'
        )
    with console.Phases() as phases:

        def tell(phase: str, share: float, energy_j: float) -> None:
            phases(_PROGRESS, round(100 * share), 100, phase)

        phases(_PROGRESS, 0, 100, 'loading the model')
        common: dict[str, Any] = {
            'exit_shares': shares,
            'deadline_s': deadline_s,
            'period_s': period_ms / 1e3,
            'yardstick': yardstick,
            'on_progress': tell,
        }
        found: Profile | HostProfile
        measured = board == HERE and table is None
        runs_on = 'cpu' if board_device else device
        setup = _set_up(model, (threads or None) if measured else 1, runs_on)
        engine = setup.engine
        if table is not None:
            found = _again(table, engine, names, common)
        elif board == HERE:
            found = _here(
                engine,
                names,
                source,
                {'root': sysfs_root, 'socket_path': socket_path, 'state_dir': state_dir},
                common | {'power_like': power_like, 'bundle': setup.fingerprint},
            )
        else:
            from e4_ros.profiling.profile_job import profile_model

            found = profile_model(board, engine, domains=names, board_device=board_device, **common)
        written = _write(found, out)
    show(console.stdout(), found)
    typer.echo(f'wrote {", ".join(map(str, written))}')
    if _plan_of(found) is None:
        raise typer.Exit(_NO_PLAN)


def _set_up(model: str, threads: int | None, device: str) -> Setup:
    from e4_ros.perception.setup import EngineOptions, set_up

    return set_up(EngineOptions(model, threads=threads, device=device))


def _again(table: Path, engine: StreamEngine, names: list[str], common: dict[str, Any]) -> Profile:
    from e4_ros.profiling.profile_job import profile_table

    if names:
        raise ValueError('a measured table has its own domains; leave out --plan-domains')
    return profile_table(table, engine, **common)


def _here(
    engine: StreamEngine,
    names: list[str],
    source: str,
    places: dict[str, Path | None],
    common: dict[str, Any],
) -> HostProfile:
    from e4_ros.energy.daemon.daemon import DaemonConfig
    from e4_ros.energy.virtual.board import board_of
    from e4_ros.profiling.measuring.this_machine import profile_this_machine

    config = DaemonConfig.model_validate({k: v for k, v in places.items() if v is not None})
    if not config.root.is_dir():
        raise ValueError(
            f'{config.root} is no folder; --sysfs-root is / or that of a virtual board'
        )
    frames = [] if board_of(config.root) else _frames(source)
    return profile_this_machine(engine, domains=names, config=config, frames=frames, **common)


def _frames(source: str) -> list[np.ndarray]:
    from e4_ros.evaluation.sources import open_source

    return [frame for _, frame in islice(open_source(source), _FRAMES)]


def _write(found: Profile | HostProfile, out: Path) -> list[Path]:
    from e4_ros.profiling.report.page import write_page

    out.mkdir(parents=True, exist_ok=True)
    plan, written = _plan_of(found), [out / 'profile.json']
    write_whole(written[0], json.dumps(found.as_dict(), indent=1))
    if plan is None:
        return written
    plan.plan().save(out / 'plan.yaml')
    write_page(plan, out / 'profile.html')
    written += [out / 'plan.yaml', out / 'profile.html']
    if plan is not found:
        plan.costs.save(out / 'table.json')
        written.append(out / 'table.json')
    return written


def _plan_of(found: Profile | HostProfile) -> Profile | None:
    from e4_ros.profiling.profile import Profile

    return found if isinstance(found, Profile) else found.profile
