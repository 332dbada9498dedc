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

"""`e4 bench start`: how long perception takes to its first answer, and what it needs to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from e4_ros.benchmarks.figures import save_figures

_BARS = (
    ('ratio', 'first detection, in times of a bare process', 1.5, ''),
    ('visible_s', 'visible in the graph', 1.0, ' s'),
    ('perception', 'peak memory of perception', 250.0, ' MB'),
    ('daemon', 'peak memory of the daemon', 80.0, ' MB'),
)


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('start')(start)


def start(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/start.json'
    ),
    rounds: Annotated[int, typer.Option(min=1, help='Starts of each process, in turns.')] = 5,
    seconds: Annotated[float, typer.Option(min=1, help='How long memory is watched.')] = 20.0,
    quick: Annotated[bool, typer.Option(help='Two starts, and memory for three seconds.')] = False,
) -> None:
    """Start of perception's process beside a bare one, peak memory, and what is imported.

    \b
        e4 bench start --rounds 3

    The bare process imports rclpy, numpy, OpenCV and ONNX Runtime, loads the same networks and runs
    each once. A camera of 15 images a second, 640×480, is there before perception starts; the first
    message on ~/detections is its first answer.
    """  # noqa: D301
    from e4_ros.benchmarks.machine import machine
    from e4_ros.benchmarks.start import measure
    from e4_ros.bringup.supervisor import check_ros
    from e4_ros.vision.bundle import shipped_bundle

    if quick:
        rounds, seconds = 2, 3.0
    about = machine()
    check_ros()
    files = measure.onnx_files(shipped_bundle('pedestrian_ssdlite'))
    starts, bare_s, bare_node_s = [], [], []
    for _ in range(rounds):
        bare_s.append(measure.start_bare(files))
        bare_node_s.append(measure.start_bare_node(files))
        starts.append(measure.start_perception())
    run = measure.run_perception(seconds)
    daemon_mb = measure.run_daemon(min(seconds, 10.0))
    first_s = measure.median([s.first_detection_s for s in starts])
    result: dict[str, Any] = {
        'first_detection_s': first_s,
        'bare_s': measure.median(bare_s),
        'ratio': measure.median(
            [s.first_detection_s / bare for s, bare in zip(starts, bare_s, strict=True)]
        ),
        'bare_node_s': measure.median(bare_node_s),
        'visible_s': measure.median([s.visible_s for s in starts]),
        'rss_mb': {'perception': run.rss_mb, 'daemon': daemon_mb},
        'modules': [name for name in measure.FORBIDDEN if name in run.modules],
        'rounds': {
            'first_detection_s': [s.first_detection_s for s in starts],
            'visible_s': [s.visible_s for s in starts],
            'bare_s': bare_s,
            'bare_node_s': bare_node_s,
        },
        'machine': about,
    }
    save_figures(result, out)
    _print(result)
    typer.echo(f'wrote {out}')


def _print(result: dict[str, Any]) -> None:
    typer.echo(
        f'first detection after {result["first_detection_s"]:.2f} s, '
        f'a bare process {result["bare_s"]:.2f} s, one that is a node and waits for an image '
        f'{result["bare_node_s"]:.2f} s'
    )
    for name, words, bar, unit in _BARS:
        figure = result['rss_mb'].get(name, result.get(name))
        typer.echo(f'{words}: {figure:.2f}{unit}, bar {bar:g}{unit}: {_kept(figure <= bar)}')
    found = ', '.join(result['modules'])
    typer.echo(
        f'not imported: torch, torchvision, av, rosbags: {_kept(not found)} {found}'.rstrip()
    )


def _kept(kept: bool) -> str:
    return 'kept' if kept else 'missed'
