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

"""`e4 dvfs`: look at this machine's clocks, hold them for a while, give them back."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e4_ros import console
from e4_ros.commands import options

if TYPE_CHECKING:
    from e4_ros.energy.daemon.daemon import DaemonConfig
    from e4_ros.energy.daemon.hold_point import HeldPoint
    from e4_ros.energy.domains.domain import Domain

group = typer.Typer(
    help="""Look at the clocks, hold them for a while, and give them back.

    To try it without a Jetson, serve a simulated one in another terminal, then look at it:

        e4 virtual-board jetson_orin_nano --mount /tmp/orin

        e4 dvfs list --sysfs-root /tmp/orin
    """,
    no_args_is_help=True,
)

_SLASH = Path('/')
_ASK_AGAIN_S = 0.2


@group.command('list')
def list_domains(sysfs_root: options.SysfsRoot = _SLASH) -> None:
    """Show every clock that was found: its table, what is allowed, and whether you may set it.

    \b
        e4 dvfs list
    """  # noqa: D301
    from e4_ros.commands.dvfs_text import clock_table

    console.stdout().print(clock_table(_domains(sysfs_root), details=True))


@group.command('get')
def get(
    domain: Annotated[str, typer.Argument(help='One domain only: cpu, gpu, emc.')] = '',
    sysfs_root: options.SysfsRoot = _SLASH,
) -> None:
    """Print the frequencies as `domain hertz` lines, for scripts.

    \b
        e4 dvfs get gpu
    """  # noqa: D301
    found = {d.name: d for d in _domains(sysfs_root)}
    if domain and domain not in found:
        raise ValueError(f'there is no domain {domain!r}; this machine has {", ".join(found)}')
    for name, one in found.items():
        if domain in ('', name):
            typer.echo(f'{name} {one.current_hz()}')


@group.command('rails')
def rails(sysfs_root: options.SysfsRoot = _SLASH) -> None:
    """Show what each power rail takes now, and which of them add up to the board.

    \b
        e4 dvfs rails
    """  # noqa: D301
    from e4_ros.commands.dvfs_text import rail_table

    console.stdout().print(rail_table(sysfs_root))


@group.command('set')
def set_point(
    clocks: Annotated[list[str], typer.Argument(help='Like gpu=612MHz cpu=960MHz.')],
    seconds: Annotated[
        float | None,
        typer.Option('--for', min=0, help='Hold for so many seconds.', show_default='until Ctrl-C'),
    ] = None,
    run: Annotated[str, typer.Option(help='Hold while this shell command runs.')] = '',
    wait: Annotated[
        float,
        typer.Option(min=0, help='Wait so many seconds for others to give the clocks back.'),
    ] = 0.0,
    sysfs_root: options.SysfsRoot = _SLASH,
    state_dir: options.StateDir = None,
    socket_path: options.SocketPath = None,
) -> None:
    """Hold clocks, then give them back: for some time, during a command, or until Ctrl-C.

    Goes through the daemon if one runs; else needs the right to write the clocks itself. Needs the
    clocks alone: while others step them it is refused, unless --wait gives them time to end.

    Nothing stays behind, whatever ends it: the state is on disk before the first write.

        e4 dvfs set --run 'python my_benchmark.py' gpu=612MHz cpu=960MHz
    """
    from e4_ros.energy.daemon.hold_point import parse_point

    point = parse_point(clocks)
    config = _config(sysfs_root, state_dir, socket_path)
    with contextlib.ExitStack() as stack:
        ending = stack.enter_context(_until_signal())
        held = _hold(stack, point, config, wait, ending)
        typer.echo(
            'holding ' + ', '.join(f'{name} at {hz / 1e6:g} MHz' for name, hz in point.items())
        )
        if run:
            raise typer.Exit(subprocess.run(run, shell=True, check=False).returncode)
        until = None if seconds is None else time.monotonic() + seconds
        while not (ending.is_set() or held.lost_because):
            left = 0.2 if until is None else min(0.2, until - time.monotonic())
            if left <= 0:
                break
            ending.wait(left)
        if held.lost_because:
            raise OSError(held.lost_because)
    typer.echo('the clocks are as before')


@group.command('restore')
def restore(
    forget: Annotated[
        bool, typer.Option(help='Put the undo log aside without applying it, whatever it holds.')
    ] = False,
    sysfs_root: options.SysfsRoot = _SLASH,
    state_dir: options.StateDir = None,
) -> None:
    """Restore what daemons of yours that were killed left behind. Does nothing if all is well.

    \b
        sudo e4 dvfs restore
    """  # noqa: D301
    from e4_ros.energy.daemon.board_lock import BoardLock
    from e4_ros.energy.daemon.recovery import left_behind, recover_all
    from e4_ros.energy.daemon.undo_log import UndoLog
    from e4_ros.energy.identify import identify

    config = _config(sysfs_root, state_dir, None)
    with contextlib.closing(UndoLog(config.state_dir)) as undo_log:
        undo_log.lock()
        if forget:
            aside = undo_log.set_aside()
            typer.echo('there is no undo log' if aside is None else f'kept as {aside}')
            return
        with BoardLock(config.root):
            board = identify(config.root)
            if not (undo_log.exists() or left_behind(undo_log, board, config.root)):
                typer.echo('nothing to restore')
                return
            if problems := recover_all(undo_log, board, config.root):
                raise OSError('not everything was restored: ' + '; '.join(problems))
    typer.echo('the clocks are as before')


@group.command('restorer')
def restorer(
    out: Annotated[Path, typer.Argument(help='File to write.')],
) -> None:
    """Write a program that restores clocks without this workspace: `python3 FILE STATE_DIR`.

    The system unit runs it after the daemon (docs/threats.md); write it anew after an update.

    \b
        e4 dvfs restorer restore-clocks
        sudo install -D -m 755 restore-clocks /usr/local/lib/e4/restore-clocks
    """  # noqa: D301
    from e4_ros.energy.daemon.restorer import write_restorer

    write_restorer(out)
    typer.echo(f'wrote {out}')


@group.command('watch')
def watch(
    sysfs_root: options.SysfsRoot = _SLASH,
    socket_path: options.SocketPath = None,
    interval: Annotated[float, typer.Option(min=0.05, help='Seconds between two looks.')] = 0.5,
    seconds: Annotated[
        float | None,
        typer.Option('--for', min=0, help='End after so many seconds.', show_default='Ctrl-C'),
    ] = None,
) -> None:
    """Show clocks, temperature and the daemon's lease, again and again.

    \b
        e4 dvfs watch --interval 1
    """  # noqa: D301
    from rich.live import Live

    from e4_ros.commands.dvfs_text import clock_table, situation

    domains, config = _domains(sysfs_root), _config(sysfs_root, None, socket_path)
    with _until_signal() as ending, Live(auto_refresh=False) as live:
        until = None if seconds is None else time.monotonic() + seconds
        while not ending.is_set() and (until is None or time.monotonic() < until):
            caption = situation(sysfs_root, config.socket_path)
            table = clock_table(domains, details=False, caption=caption)
            live.update(table, refresh=True)
            ending.wait(interval)


@group.command('status')
def status(
    sysfs_root: options.SysfsRoot = _SLASH,
    socket_path: options.SocketPath = None,
) -> None:
    """Show clocks, temperature, lease, power mode and what slows the board down, once.

    \b
        e4 dvfs status
    """  # noqa: D301
    from e4_ros.commands.dvfs_text import brakes, clock_table, situation
    from e4_ros.energy.domains.isochronous import isochronous_clients
    from e4_ros.energy.power_mode import read_power_mode

    config = _config(sysfs_root, None, socket_path)
    caption = situation(sysfs_root, config.socket_path)
    console.stdout().print(clock_table(_domains(sysfs_root), details=False, caption=caption))
    if (mode := read_power_mode(sysfs_root)) is not None:
        typer.echo(f'power mode: {mode.key}')
    for line in brakes(sysfs_root):
        typer.echo(f'slowed down: {line}')
    if clients := list(isochronous_clients(sysfs_root)):
        typer.echo(f'memory must serve on time: {", ".join(clients)}')


@group.command('serve')
def serve(
    sysfs_root: options.SysfsRoot = _SLASH,
    state_dir: options.StateDir = None,
    socket_path: options.SocketPath = None,
    group: Annotated[str, options.parameter('group')] = options.DEFAULTS['group'],
    limits: Annotated[list[str] | None, options.parameter('limits')] = None,
    watchdog_s: Annotated[float, options.parameter('watchdog_s')] = options.DEFAULTS['watchdog_s'],
    idle_lease_s: Annotated[float, options.parameter('idle_lease_s')] = options.DEFAULTS[
        'idle_lease_s'
    ],
    over_temperature_c: Annotated[
        float, options.parameter('over_temperature_c')
    ] = options.DEFAULTS['over_temperature_c'],
    isochronous_floor: Annotated[float, options.parameter('isochronous_floor')] = options.DEFAULTS[
        'isochronous_floor'
    ],
    spare_cpus: Annotated[str, options.parameter('spare_cpus')] = options.DEFAULTS['spare_cpus'],
) -> None:
    """Run the daemon, without ROS, until SIGTERM or Ctrl-C.

    \b
        sudo e4 dvfs serve --group e4 --limits gpu=306000000..612000000
    """  # noqa: D301
    import logging

    from e4_ros.energy.daemon.daemon import Daemon, parse_limits
    from e4_ros.energy.daemon.parked_cpus import parse_cpus
    from e4_ros.energy.daemon.realtime import log_asynchronously, setup_realtime

    log_asynchronously(logging.INFO)
    with _until_signal() as ending:
        config = _config(
            sysfs_root,
            state_dir,
            socket_path,
            group=group,
            limits_hz=parse_limits(limits or []),
            watchdog_s=watchdog_s,
            idle_lease_s=idle_lease_s,
            over_temperature_c=over_temperature_c,
            isochronous_floor=isochronous_floor,
            spare_cpus=parse_cpus(spare_cpus),
        )
        setup_realtime()
        with Daemon(config) as daemon:
            typer.echo(f'{daemon.core.board}: listening on {config.socket_path}')
            ending.wait()


def register(app: typer.Typer) -> None:
    """Add `e4 dvfs`."""
    app.add_typer(group, name='dvfs')


def _config(
    root: Path, state_dir: Path | None, socket_path: Path | None, **settings: object
) -> DaemonConfig:
    from e4_ros.energy.daemon.daemon import DaemonConfig

    places = {'state_dir': state_dir, 'socket_path': socket_path}
    given = {name: place for name, place in places.items() if place is not None}
    return DaemonConfig.model_validate({'root': root, **given, **settings})


def _domains(root: Path) -> list[Domain]:
    from e4_ros.energy.domains.discovery import discover_some

    return discover_some(root)


def _hold(
    stack: contextlib.ExitStack,
    point: dict[str, int],
    config: DaemonConfig,
    wait_s: float,
    ending: threading.Event,
) -> HeldPoint:
    """Hold a point as soon as nobody else has a lease, unless that takes too long or is ended."""
    from e4_ros.energy.client import LeasesInTheWay
    from e4_ros.energy.daemon.hold_point import hold

    until, told = time.monotonic() + wait_s, False
    while True:
        try:
            return stack.enter_context(hold(point, config))
        except LeasesInTheWay as error:
            if time.monotonic() >= until:
                raise
            if not told:
                typer.echo(f'waiting: {error}')
            told = True
            if ending.wait(_ASK_AGAIN_S):
                raise


@contextlib.contextmanager
def _until_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, so that the clocks are restored in order."""
    ending = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ending.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
