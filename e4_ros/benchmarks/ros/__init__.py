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

"""`e4 bench ros`: what a robot gets from the nodes: images that arrive, obstacles, cameras."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from e4_ros.benchmarks.figures import save_figures


class Part(str, Enum):
    """What can be measured by itself."""

    OBSTACLES = 'obstacles'
    CAMERAS = 'cameras'
    ARRIVAL = 'arrival'
    SOAK = 'soak'


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('ros')(ros)


def ros(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/ros.json'
    ),
    parts: Annotated[
        list[Part] | None, typer.Option('--part', help='What to measure; everything.')
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(help='Three distances instead of eight, five seconds of cameras, no soak.'),
    ] = False,
    minutes: Annotated[float, typer.Option(help='Of the soak.', min=0.2)] = 30.0,
) -> None:
    """Measure whether images arrive, obstacles, what a second camera costs, and half an hour.

    \b
        e4 bench ros --json out/bench/ros.json
        e4 bench ros --part cameras
        e4 bench ros --part soak --minutes 5

    Arrival: images of two sizes against publishers of both kinds, at the defaults: how many came,
    how many were said to be lost, and whether the log says so. Then twice as many as the whole
    network can answer: age of the answers. Then large images by each transport of DDS.

    Soak: 15 images a second, while every 30 s the daemon is killed and every minute perception is
    deactivated and activated again: is every image counted, and does memory stay?

    Obstacles: a pinhole camera over a plane looks at upright boxes of 0.4 × 0.4 × 1.7 m, 1 to 15 m
    away, some of which stand and some walk, from a robot that stands or drives. Every image is
    measured from its depth image, from an unorganised cloud of it, and from the ground plane alone;
    once exactly and once with noise of one pixel and one per cent. Errors are means over all images
    but those of the first second. No ROS is needed.

    Cameras: perception runs with one camera and with two, 640×480 at 15 images a second each; what
    two take of memory is compared with what one takes. Then two send more than the network can do,
    which runs on every image: the share of each is compared with the other's.
    """  # noqa: D301
    from e4_ros.benchmarks.machine import machine

    wanted = parts or [part for part in Part if part is not Part.SOAK or not quick]
    result: dict[str, Any] = {'machine': machine()}
    if Part.OBSTACLES in wanted:
        from e4_ros.benchmarks.ros import obstacles

        distances_m = obstacles.DISTANCES_M[::3] if quick else obstacles.DISTANCES_M
        result['obstacles'] = obstacles.measure(distances_m)
        result['obstacles_latency_ms'] = obstacles.latency(rounds=50 if quick else 300)
        _print_obstacles(result)
    if Part.CAMERAS in wanted:
        from e4_ros.benchmarks.ros import cameras
        from e4_ros.bringup.supervisor import check_ros

        check_ros()
        result['cameras'] = cameras.measure(5.0 if quick else 20.0)
        _print_cameras(result['cameras'])
    if Part.ARRIVAL in wanted:
        from e4_ros.benchmarks.ros import arrival
        from e4_ros.bringup.supervisor import check_ros

        check_ros()
        result |= arrival.measure(5.0 if quick else 20.0)
        _print_arrival(result)
    if Part.SOAK in wanted:
        from e4_ros.bringup.supervisor import check_ros

        check_ros()
        result['soak'] = _soak(0.5 if quick else minutes)
        _print_soak(result['soak'])
    save_figures(result, out)
    typer.echo(f'wrote {out}')


def _soak(minutes: float) -> dict[str, Any]:
    from e4_ros import console
    from e4_ros.benchmarks.ros import soak

    with console.Phases(thread=False) as phases:
        return soak.measure(minutes, tell=lambda at_min: phases('soak, minutes', at_min, minutes))


def _print_arrival(result: dict[str, Any]) -> None:
    from e4_ros import console
    from e4_ros.benchmarks.ros.arrival import OVERLOAD_BAR, RECEIVED_BAR

    say = console.stdout().print
    for row in result['arrival']:
        told = row['received'] >= row['sent'] or row['warned']
        kept = 'kept' if told and row['accounted_share'] >= RECEIVED_BAR else 'missed'
        say(
            f'{row["size"]} at {row["rate_hz"]:g} Hz, {row["publisher"]}: {row["received"]} of '
            f'{row["sent"]} came, {row["lost_counted"]} counted as lost'
            f'{", warned" if row["warned"] else ""} ({RECEIVED_BAR:.0%}: {kept})'
        )
    busy = result['overload']
    kept = 'kept' if busy['p95_in_frames'] <= OVERLOAD_BAR else 'missed'
    say(
        f'overload: 95 % of answers within {busy["end_to_end_p95_ms"]:.0f} ms of the stamp, '
        f'{busy["p95_in_frames"]:.2f} frames (bar {OVERLOAD_BAR:g}: {kept})'
    )
    for row in result['transports']:
        say(
            f'1920x1080 by {row["transport"]}: {row["received"]} of {row["sent"]} came, '
            f'{row["end_to_end_p50_ms"]:.1f} ms old; an image takes {row["camera_cpu_ms"]:.1f} ms '
            f'of the camera and {row["perception_cpu_ms"]:.1f} ms of perception'
        )


def _print_soak(found: dict[str, Any]) -> None:
    from e4_ros import console
    from e4_ros.benchmarks.ros.soak import SLOPE_BAR_MB

    counted = found['received'] == found['processed'] + found['dropped']
    steady = found['rss_mb_per_10min'] <= SLOPE_BAR_MB
    console.stdout().print(
        f'{found["minutes"]:g} min, {found["kills"]} kills, {found["cycles"]} cycles: '
        f'{found["received"]} images came, {found["processed"]} processed, {found["dropped"]} '
        f'dropped ({"all counted" if counted else "NOT all counted"}); memory '
        f'{found["rss_mb_per_10min"]:+.2f} MB in ten minutes (bar {SLOPE_BAR_MB:g}: '
        f'{"kept" if steady else "missed"}); open files {found["fds"][0]}, then {found["fds"][1]}'
    )


def _print_cameras(found: dict[str, Any]) -> None:
    from e4_ros import console
    from e4_ros.benchmarks.ros.cameras import RSS_BAR, SHARE_BAR

    memory, overload = found['rss_mb'], found['overload']
    taken = ' and '.join(map(str, overload['answered_since_both_send'].values()))
    for words, ratio, bar in (
        (f'memory of two cameras {memory["two"]:.0f} MB, of one {memory["one"]:.0f} MB',
         found['rss_ratio'], RSS_BAR),
        (f'shares of two cameras under overload, {taken} images', found['share_ratio'], SHARE_BAR),
    ):  # fmt: skip
        kept = 'kept' if ratio <= bar else 'missed'
        console.stdout().print(f'{words}: {ratio:.3f}, bar {bar:g}: {kept}')


def _print_obstacles(result: dict[str, Any]) -> None:
    from rich.table import Table

    from e4_ros import console
    from e4_ros.benchmarks.ros.obstacles import BARS

    table = Table(title='obstacles: position error (share of the distance), velocity error')
    for heading in ('mode', 'robot', 'noise', 'distance', 'position', 'bar', 'velocity'):
        table.add_column(heading, justify='left' if heading in ('mode', 'robot') else 'right')
    for row in result['obstacles']:
        share = row['position_error_m'] / row['distance_m']
        table.add_row(
            row['mode'],
            row['robot'],
            f'{row["box_noise_px"]:g} px',
            f'{row["distance_m"]:g} m',
            f'{row["position_error_m"]:.3f} m, {share:.1%}',
            f'{BARS[row["mode"]]:.0%} {"kept" if share <= BARS[row["mode"]] else "missed"}',
            f'{row["velocity_error_mps"]:.3f} m/s',
        )
    console.stdout().print(table)
    for mode, took_ms in result['obstacles_latency_ms'].items():
        kept = 'kept' if took_ms <= 2 else 'missed'
        console.stdout().print(f'{mode}: {took_ms:.2f} ms for ten objects (bar 2 ms: {kept})')
