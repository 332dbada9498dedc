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

"""`e4 compare`: how many joules early exits and clocks save on this machine."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from e4_ros import console
from e4_ros.commands import options
from e4_ros.files import write_whole

if TYPE_CHECKING:
    from e4_ros.evaluation.comparison.battery import Battery
    from e4_ros.evaluation.comparison.job import CompareOptions
    from e4_ros.evaluation.comparison.result import Result
    from e4_ros.evaluation.sources import Source

_NO_SAVING = 1
_BATTERY_PANEL = 'In terms of the battery'


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('compare')(compare)


def compare(
    source: Annotated[
        str,
        typer.Argument(
            help='A recording of your robot (video, folder of images, bag, ring), a camera '
            '(/dev/videoN), a stream (rtsp://…), or `bikes` or `vtest`.'
        ),
    ],
    minutes: Annotated[float, typer.Option(min=0.01, help='How long the blocks take.')] = 5.0,
    model: options.Model = options.DEFAULTS['model'],
    device: options.Device = options.DEFAULTS['device'],
    threads: options.Threads = options.DEFAULTS['threads'],
    precision: options.Precision = options.DEFAULTS['precision'],
    risk: options.Risk = options.DEFAULTS['risk'],
    quality: options.Quality = options.DEFAULTS['quality'],
    min_score: options.MinScore = options.DEFAULTS['min_score'],
    image_topic: options.ImageTopic = options.DEFAULTS['image_topic'],
    fps: Annotated[
        float | None,
        typer.Option(
            min=0.1, help='Frames a second to play a recording at.', show_default='its own'
        ),
    ] = None,
    deadline_s: Annotated[
        float,
        options.parameter(
            'deadline_s', 'An answer after it is late; with 0, one after the next frame is.'
        ),
    ] = options.DEFAULTS['deadline_s'],
    plan_domains: Annotated[
        str, typer.Option(help='Clocks to plan, like cpu,gpu,emc.')
    ] = 'cpu,gpu',
    block_s: Annotated[
        float,
        typer.Option(min=0, help='Seconds of a block; 0: what five rounds allow, 6 to 25.'),
    ] = 0.0,
    out: Annotated[Path, typer.Option(help='Folder for the files.')] = Path('out/compare'),
    battery_wh: Annotated[
        float,
        typer.Option(
            min=0,
            help='Watt-hours of the robot’s battery; 0: what a bag or the kernel knows of one.',
            rich_help_panel=_BATTERY_PANEL,
        ),
    ] = 0.0,
    battery_bag: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help='A bag of the robot’s drive with sensor_msgs/BatteryState: size of the battery, '
            'and what is drawn.',
            show_default='SOURCE, if it is such a bag',
            rich_help_panel=_BATTERY_PANEL,
        ),
    ] = None,
    others_w: Annotated[
        float | None,
        typer.Option(
            min=0,
            help='Watts of the rest of the robot: motors, lidar.',
            show_default='what the battery says, else none',
            rich_help_panel=_BATTERY_PANEL,
        ),
    ] = None,
    power_like: Annotated[
        str, typer.Option(help='Without any meter: the board whose power model to take.')
    ] = '',
    board_device: options.BoardDevice = '',
    sysfs_root: options.SysfsRoot = Path('/'),
    socket_path: options.SocketPath = None,
    state_dir: options.StateDir = None,
    seed: options.Seed = 0,
) -> None:
    """Say how many joules a frame early exits and clocks save on this machine, with an interval.

    \b
        e4 compare monday.mcap
        e4 compare /dev/video0 --minutes 10 --battery-wh 98 --others-w 25
        e4 compare vtest --battery-bag monday.mcap

    Four ways answer the same frames at the camera's pace, in blocks of some seconds in random
    order, round after round: the full network with tracker under the governors as they are
    found; early exits; planned clocks; both. The machine's own meter counts the joules. Keep it
    free of other work, as it is on the robot otherwise: same power mode, fan and display.

    The folder OUT then holds `compare.html` (open it first) and `compare.json`. Without a meter
    the joules are modelled; that is no saving, and the exit code is 1. Ctrl-C ends it early and
    keeps the rounds that are finished.
    """  # noqa: D301
    with console.STDERR.status('loading'):
        from e4_ros.energy.daemon.daemon import DaemonConfig
        from e4_ros.evaluation.comparison.job import CompareOptions
        from e4_ros.evaluation.sources import open_source
        from e4_ros.perception.setup import EngineOptions

        places: dict[str, Any] = {'socket_path': socket_path, 'state_dir': state_dir}
        given = {name: place for name, place in places.items() if place is not None}
        if not sysfs_root.is_dir():
            raise ValueError(f'{sysfs_root} is no folder; give / or the root of a virtual board')
        stream = open_source(source, topic=image_topic or None)
        wanted = CompareOptions(
            EngineOptions(
                model,
                threads=threads or len(os.sched_getaffinity(0)),
                precision=precision,
                min_score=min_score,
                risk=risk,
                quality=quality,
                device=device,
            ),
            DaemonConfig.model_validate({'root': sysfs_root, **given}),
            minutes=minutes,
            block_s=block_s,
            fps=fps,
            deadline_s=deadline_s,
            domains=[name.strip() for name in plan_domains.split(',') if name.strip()],
            board_device=board_device,
            power_like=power_like,
            battery_wh=battery_wh,
            battery=_battery(battery_bag, Path(source)),
            others_w=others_w,
            seed=seed,
        )
        out.mkdir(parents=True, exist_ok=True)
    found = _compare(wanted, stream, out)
    if not found.facts.measured:
        raise typer.Exit(_NO_SAVING)


def _battery(bag: Path | None, source: Path) -> Battery | None:
    """What a bag says of the battery; only one that was named has to say something."""
    from e4_ros.evaluation.comparison.battery_bag import battery_of_bag
    from e4_ros.evaluation.sources import SourceError

    if bag is not None:
        battery = battery_of_bag(bag)
        if battery is None:
            raise ValueError(
                f'{bag}: the battery says neither capacity nor voltage; give --battery-wh'
            )
        return battery
    with suppress(SourceError):
        return battery_of_bag(source)
    return None


def _compare(wanted: CompareOptions, stream: Source, out: Path) -> Result:
    from e4_ros.commands.compare_text import show
    from e4_ros.evaluation.comparison import job
    from e4_ros.evaluation.comparison.page import write_page

    # Without a thread that redraws: the waiting board is measured, too.
    with console.Phases(thread=False) as phases:
        shown = (-1, '')

        def tell(seconds: float, words: str) -> None:
            nonlocal shown
            if shown != (now := (int(seconds), words)):
                shown = now
                phases('seconds', now[0], round(60 * wanted.minutes), words)

        found = job.compare(wanted, stream, tell)
        figures, page = out / 'compare.json', out / 'compare.html'
        write_whole(figures, json.dumps(found.as_dict(), indent=1))
        write_page(found, page)
    show(console.stdout(), found)
    typer.echo(f'wrote {page}, {figures}')
    return found
