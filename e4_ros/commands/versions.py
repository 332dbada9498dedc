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

"""`e4 versions`: which versions of a model are worth having, on footage of your own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from e4_ros import console, extras
from e4_ros.commands import options

if TYPE_CHECKING:
    from e4_ros.evaluation.versions import VersionTrial


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('versions')(versions)


def versions(
    source: Annotated[str, typer.Argument(help='Footage of the camera: a video, folder, bag, …')],
    version: Annotated[
        list[str],
        typer.Option(
            help='A further version: [NAME=]BUNDLE[@PRECISION], or int8 or fp16 for the model '
            'itself in it. Give it several times, and the same to perception’s parameter versions.'
        ),
    ],
    model: options.Model = options.DEFAULTS['model'],
    precision: options.Precision = options.DEFAULTS['precision'],
    out: Annotated[Path, typer.Option(help='File for the node’s versions_file.')] = Path(
        'versions.yaml'
    ),
    page: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Page with the picture. [default: beside OUT, with .html]'),
    ] = None,
    labels: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help='Labels of SOURCE in the MOT format; without them the offline teacher judges.'
        ),
    ] = None,
    labels_class: Annotated[str, typer.Option(help='Class that the labels are of.')] = '',
    judge_every: Annotated[
        int, typer.Option(min=1, help='The teacher looks at each n-th frame.')
    ] = 5,
    board: Annotated[
        str, typer.Option(help='The board whose joules are modelled; `none` for none.')
    ] = 'jetson_orin_nano',
    board_device: options.BoardDevice = '',
    frames: options.Frames = 300,
    device: options.Device = options.DEFAULTS['device'],
    threads: options.Threads = options.DEFAULTS['threads'],
    learn: Annotated[
        bool,
        typer.Option(
            help='Also train the policy of infer_edge:learned on these versions and this board, in '
            'the simulator (the extra `learn`), and write it beside OUT.'
        ),
    ] = False,
    learn_frames: Annotated[
        int, typer.Option(min=100, help='Simulated frames that it is trained on.')
    ] = 300_000,
) -> None:
    """Measure the versions of a detector on FOOTAGE: F1, milliseconds, modelled joules.

    \b
        e4 build pedestrian_ssdlite --input 220 --out small
        e4 versions tuesday.mcap --version small --version tiny=bundles/156
        e4 versions street.mp4 --labels gt.txt --version int8 --out street.yaml
        e4 up perception --image /camera/image_raw --versions '[small]' \\
            --versions_file versions.yaml --controller infer_edge

    Every version answers the same frames in turns, as a robot runs it: with tracks and exits. The
    table says which versions another one dominates; the page draws all of them.
    """  # noqa: D301
    if learn:
        extras.require('learn', '`e4 versions --learn`')
        if board == 'none':
            raise typer.BadParameter(
                'a policy is trained for a board: name one', param_hint='--board'
            )
    from e4_ros.evaluation.sources import open_source
    from e4_ros.evaluation.versions import try_versions
    from e4_ros.evaluation.versions.picture import write_picture
    from e4_ros.perception.versions import parse_versions

    specs = parse_versions(version, model, precision)
    stream = open_source(source)
    counts = [n for n in (frames or None, stream.frame_count) if n is not None]
    with console.Phases() as phases:
        found = try_versions(
            specs, stream, [stream.name], limit=min(counts, default=None), labels=labels,
            labels_class=labels_class, judge_every=judge_every,
            board='' if board == 'none' else board, board_device=board_device,
            threads=threads or None, device=device, progress=phases,
        )  # fmt: skip
        file = found.file
        if learn:
            from e4_ros.evaluation.simulation.version_learning import train_policy

            policy = train_policy(
                [run.version for run in found.runs], board, learn_frames,
                lambda done: phases('training', done, learn_frames),
            )  # fmt: skip
            kept = out.with_name(f'{out.stem}.policy.npz')
            policy.save(kept)
            file = file.model_copy(update={'policy': kept.name})
    file.save(out)
    shown = page or out.with_suffix('.html')
    write_picture(found, shown)
    console.stdout().print(_table(found))
    typer.echo(f'wrote {out} and {shown}')


def _table(found: VersionTrial) -> object:
    from rich.table import Table

    judge = 'people' if found.file.judged_by == 'people' else 'teacher'
    table = Table(
        'version', 'input', f'F1 by {judge}', 'ms', 'J, modelled', 'switch ms', '', box=None
    )
    for run in found.runs:
        m = run.measured
        table.add_row(
            m.name,
            f'{m.input[0]}×{m.input[1]} {m.precision}',
            f'{m.f1:.3f}',
            f'{m.mean_ms:.2f}',
            'n/a' if math.isnan(m.mean_j) else f'{m.mean_j:.4f}',
            f'{1e3 * run.version.switch_s:.2f}',
            f'[yellow]dominated by {m.dominated_by}[/]' if m.dominated_by else '[green]keep[/]',
        )
    return table
