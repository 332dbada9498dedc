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

if TYPE_CHECKING:
    from e4_ros.energy.daemon.daemon import DaemonConfig
    from e4_ros.energy.domains.domain import Domain

group = typer.Typer(
    help="""Look at the clocks, hold them for a while, and give them back.

    To try it without a Jetson, serve a simulated one in another terminal, then look at it:

        e4 virtual-board jetson_orin_nano --mount /tmp/orin

        e4 dvfs list --root /tmp/orin
    """,
    no_args_is_help=True,
)

Root = Annotated[
    Path, typer.Option(help='Folder that holds sys/: / or the mount of a virtual board.')
]
StateDir = Annotated[
    Path | None,
    typer.Option(help='Folder of the undo log.', show_default='/run/e4 or your own'),
]
SocketPath = Annotated[
    Path | None,
    typer.Option('--socket', help="The daemon's socket.", show_default='$E4_SOCKET or /run/e4'),
]
_SLASH = Path('/')


@group.command('list')
def list_domains(root: Root = _SLASH) -> None:
    """Show every clock that was found: its table, what is allowed, and whether you may set it."""
    from e4_ros.commands.dvfs_text import clock_table

    console.stdout().print(clock_table(_domains(root), details=True))


@group.command('get')
def get(
    domain: Annotated[str, typer.Argument(help='One domain only: cpu, gpu, emc.')] = '',
    root: Root = _SLASH,
) -> None:
    """Print the frequencies as `domain hertz` lines, for scripts."""
    found = {d.name: d for d in _domains(root)}
    if domain and domain not in found:
        raise ValueError(f'there is no domain {domain!r}; this machine has {", ".join(found)}')
    for name, one in found.items():
        if domain in ('', name):
            typer.echo(f'{name} {one.current_hz()}')


@group.command('set')
def set_point(
    clocks: Annotated[list[str], typer.Argument(help='Like gpu=612MHz cpu=960MHz.')],
    seconds: Annotated[
        float | None,
        typer.Option('--for', min=0, help='Hold for so many seconds.', show_default='until Ctrl-C'),
    ] = None,
    run: Annotated[str, typer.Option(help='Hold while this shell command runs.')] = '',
    root: Root = _SLASH,
    state_dir: StateDir = None,
    socket_path: SocketPath = None,
) -> None:
    """Hold clocks, then give them back: for some time, during a command, or until Ctrl-C.

    Goes through the daemon if one runs; else needs the right to write the clocks itself.

    Nothing stays behind, whatever ends it: the state is on disk before the first write.

        e4 dvfs set --run 'python my_benchmark.py' gpu=612MHz cpu=960MHz
    """
    from e4_ros.energy.daemon.hold_point import hold, parse_point

    point = parse_point(clocks)
    with _until_signal() as ending, hold(point, _config(root, state_dir, socket_path)) as held:
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
    root: Root = _SLASH,
    state_dir: StateDir = None,
) -> None:
    """Restore what a daemon that was killed left behind. Does nothing if all is well."""
    from e4_ros.energy.daemon.daemon import identify
    from e4_ros.energy.daemon.recovery import recover
    from e4_ros.energy.daemon.undo_log import UndoLog

    undo_log = UndoLog(_config(root, state_dir, None).state_dir)
    undo_log.lock()
    if forget:
        aside = undo_log.set_aside()
        typer.echo('there is no undo log' if aside is None else f'kept as {aside}')
        return
    if not undo_log.path.exists():
        typer.echo('nothing to restore')
        return
    if problems := recover(undo_log, identify(root), root):
        raise OSError('not everything was restored: ' + '; '.join(problems))
    typer.echo('the clocks are as before')


@group.command('watch')
def watch(
    root: Root = _SLASH,
    socket_path: SocketPath = None,
    interval: Annotated[float, typer.Option(min=0.05, help='Seconds between two looks.')] = 0.5,
    seconds: Annotated[
        float | None,
        typer.Option('--for', min=0, help='End after so many seconds.', show_default='Ctrl-C'),
    ] = None,
) -> None:
    """Show clocks, temperature and the daemon's lease, again and again."""
    from rich.live import Live

    from e4_ros.commands.dvfs_text import clock_table, situation

    domains, config = _domains(root), _config(root, None, socket_path)
    with _until_signal() as ending, Live(auto_refresh=False) as live:
        until = None if seconds is None else time.monotonic() + seconds
        while not ending.is_set() and (until is None or time.monotonic() < until):
            table = clock_table(domains, details=False, caption=situation(root, config.socket_path))
            live.update(table, refresh=True)
            ending.wait(interval)


@group.command('serve')
def serve(
    root: Root = _SLASH,
    state_dir: StateDir = None,
    socket_path: SocketPath = None,
    group_name: Annotated[
        str,
        typer.Option('--group', help='Group that may connect.', show_default='only you'),
    ] = '',
    limit: Annotated[
        list[str] | None, typer.Option(help='Like gpu=306000000..612000000 (hertz).')
    ] = None,
    watchdog_s: Annotated[
        float,
        typer.Option(
            min=0.05, max=3600, help='Seconds without a step after which the clocks are restored.'
        ),
    ] = 2.0,
    over_temperature_c: Annotated[
        float, typer.Option(min=30, max=130, help='From so many °C on, the clocks are restored.')
    ] = 95.0,
) -> None:
    """Run the daemon, without ROS, until SIGTERM or Ctrl-C."""
    import logging

    from e4_ros.energy.daemon.daemon import Daemon, parse_limits
    from e4_ros.energy.daemon.realtime import log_asynchronously, setup_realtime

    log_asynchronously(logging.INFO)
    with _until_signal() as ending:
        config = _config(
            root,
            state_dir,
            socket_path,
            group=group_name,
            limits_hz=parse_limits(limit or []),
            watchdog_s=watchdog_s,
            over_temperature_c=over_temperature_c,
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
