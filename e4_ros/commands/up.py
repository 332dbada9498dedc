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

"""`e4 up`: start the nodes that belong together where `ros2 launch` is missing; and the demo."""

from __future__ import annotations

import inspect
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from e4_ros import console
from e4_ros.bringup.arguments import Argument
from e4_ros.bringup.bringups import BRINGUPS
from e4_ros.bringup.node_specs import Bringup
from e4_ros.bringup.supervisor import (
    Supervisor,
    check_ros,
    private_environment,
)

if TYPE_CHECKING:
    from e4_ros.evaluation.report.run_outputs import RunOutputs

_POLL_S = 0.1
_FETCHED, _AT_HAND = 'vtest', 'bikes'  # the former comes over the network, the latter is installed

group = typer.Typer(
    help='Start nodes that belong together, each in a process of its own.', no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group, name='up')


def _command(bringup: Bringup, run: Callable[[dict[str, str]], None]) -> Callable[..., None]:
    """Make a command whose options are the arguments of ``bringup``."""

    def command(**options: Any) -> None:
        run({name: _text(option) for name, option in options.items()})

    parameters = [_option(argument) for argument in bringup.all_arguments]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = f'{bringup.description}\n\n{_NOTES[bringup.name]}'
    return command


def _option(argument: Argument) -> inspect.Parameter:
    """Make an option; one of a parameter that is on or off may be left open, too."""
    is_bool = argument.spec is not None and isinstance(argument.spec.default, bool)
    kind: Any = bool if argument.is_switch else Optional[bool] if is_bool else str  # noqa: UP045
    states: Any = {'true': True, 'false': False, '': None}
    option = typer.Option(
        help=argument.description,
        metavar='|'.join(argument.choices) or None,
        rich_help_panel=f'Parameters of {argument.group}' if argument.group else None,
    )
    return inspect.Parameter(
        argument.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=argument.default if kind is str else states[argument.default],
        annotation=Annotated[kind, option],
    )


def _text(option: str | bool | None) -> str:
    if option is None:
        return ''
    return str(option).lower() if isinstance(option, bool) else option


def _until_stopped(bringup: Bringup) -> Callable[[dict[str, str]], None]:
    """Run the nodes in the user's own ROS domain until the last one ends or Ctrl-C."""

    def run(values: dict[str, str]) -> None:
        check_ros()
        logs = Path(os.environ.get('ROS_LOG_DIR', 'log')) / f'e4-{bringup.name}-{os.getpid()}'
        specs = bringup.specs(values)
        with _signals(), Supervisor(specs, values, logs, os.environ, console.warn) as nodes:
            names = ', '.join(spec.executable for spec in specs)
            console.note(f'{names} are running; logs in {logs}; Ctrl-C stops them')
            try:
                while not nodes.done():
                    time.sleep(_POLL_S)
            except KeyboardInterrupt:
                console.note('stopping')

    return run


def _demo(values: dict[str, str]) -> None:
    from e4_ros.energy.boards import load_board
    from e4_ros.evaluation.sources import open_source
    from e4_ros.perception.setup import EngineOptions

    check_ros()
    out = Path(values['out']).resolve()
    values['out'] = str(out)
    values['source'] = _demo_source(values['source'])
    specs = BRINGUPS['demo'].specs(values)
    source = open_source(values['source'])
    if values['board']:
        load_board(values['board'])
    counts = [n for n in (int(values['frames'] or 0), source.frame_count or 0) if n]
    _clear(out)
    environment, domain = private_environment()
    with domain:
        console.note(
            'to look on from another terminal: export '
            f'ROS_DOMAIN_ID={environment["ROS_DOMAIN_ID"]} '
            'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST'
        )
        with _signals(), Supervisor(specs, values, out / 'log', environment, console.warn) as nodes:
            _watch(nodes, out / 'stamps.csv', source.name, min(counts, default=None))
    min_score = float(values['min_score'] or EngineOptions.min_score)
    console.stdout().print(_table(_report(out, values['source'], min_score)))


def _demo_source(wanted: str) -> str:
    """The source that is wanted, or another packaged video where Debian's cannot be had."""
    from e4_ros.evaluation.sources.base import SourceError
    from e4_ros.evaluation.sources.packaged import packaged_video

    if wanted != _FETCHED:
        return wanted
    try:
        packaged_video(wanted)
    except SourceError as error:
        console.warn(f'{error}. Showing {_AT_HAND} instead, a street from a moving camera')
        return _AT_HAND
    return wanted


def _watch(nodes: Supervisor, stamps: Path, name: str, total: int | None) -> None:
    """Show how many images were published until the video is over or Ctrl-C."""
    with console.Phases(keep=True) as phases:
        try:
            while not nodes.done():
                published = _count_lines(stamps)
                phases(name, published, total, '' if published else 'starting')
                time.sleep(_POLL_S)
            phases(name, _count_lines(stamps), total)
        except KeyboardInterrupt:
            console.note('stopping early; what was done is kept')


def _report(out: Path, source_text: str, min_score: float) -> RunOutputs:
    """Make the demo's files from what its nodes left in ``out``."""
    from e4_ros.evaluation.report.run_outputs import write_outputs
    from e4_ros.evaluation.sources import open_source
    from e4_ros.evaluation.telemetry import read_stamps, read_telemetry

    source = open_source(source_text)
    stamps = read_stamps(out / 'stamps.csv')
    records, info = read_telemetry(out / 'telemetry.mcap', source=source.name, frames=stamps)
    for problem in info.problems:
        console.warn(problem)
    with console.Phases(keep=True) as phases:
        return write_outputs(
            records,
            info,
            out,
            source if source.repeatable else None,
            fps=source.fps,
            min_score=min_score,
            progress=partial(phases, 'drawing', total=len(records)),
        )


def _table(outputs: RunOutputs) -> Any:
    from e4_ros.commands.run_text import summary_table

    return summary_table(outputs)


def _clear(out: Path) -> None:
    """Remove what an earlier run left, so that nothing old is taken for new."""
    out.mkdir(parents=True, exist_ok=True)
    for name in ('stamps.csv', 'telemetry.mcap', 'summary.json', 'report.html', 'annotated.mp4'):
        (out / name).unlink(missing_ok=True)


def _count_lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b'\n')
    except FileNotFoundError:
        return 0


@contextmanager
def _signals() -> Iterator[None]:
    """Take SIGTERM like Ctrl-C, and Ctrl-C also where a shell started us with it ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


_NOTES = {
    'perception': (
        '\b\n    e4 up perception --image /camera/image_raw\n\n'
        'The detections are on /perception/detections; `ros2 topic echo` shows them.'
    ),
    'navigation': (
        '\b\n    e4 up navigation --image /camera/image_raw --camera-info /camera/camera_info '
        '--mode ground\n\n'
        'Obstacles are on /obstacles/obstacles, and as a cloud for costmaps on /obstacles/points; '
        'docs/navigation.md shows the whole.'
    ),
    'demo': (
        '\b\n    e4 up demo --source street.mp4 --out out/street\n\n'
        'All in processes of their own over DDS, in a ROS domain of their own. OUT then holds '
        '`report.html` (open it first), `summary.json`, `annotated.mp4`, `telemetry.mcap` (every '
        'output topic; Foxglove opens it) and the logs. Ctrl-C ends it early and reports on what '
        'was done.'
    ),
    'replay': (
        '\b\n    e4 up replay --bag last_tuesday.mcap --speed 2\n\n'
        'With --use-sim-time the bag makes the time, too.'
    ),
    'profile': (
        '\b\n    e4 up profile --apply-to perception\n\n'
        'Send it a goal with `ros2 action send_goal`; `e4 profile` needs no ROS.'
    ),
}

for _name, _bringup in BRINGUPS.items():
    _run = _demo if _name == 'demo' else _until_stopped(_bringup)
    group.command(_name)(_command(_bringup, _run))
