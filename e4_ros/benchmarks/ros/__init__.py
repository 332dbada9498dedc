"""`e4 bench ros`: what a navigation stack gets from the nodes, against what is known exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from e4_ros.benchmarks.figures import save_figures


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('ros')(ros)


def ros(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/ros.json'
    ),
    quick: Annotated[bool, typer.Option(help='Three distances instead of eight.')] = False,
) -> None:
    """Measure obstacles: errors of position and velocity, and what finding them takes.

    \b
        e4 bench ros --json out/bench/ros.json

    A pinhole camera over a plane looks at upright boxes of 0.4 × 0.4 × 1.7 m, 1 to 15 m away, some
    of which stand and some walk, from a robot that stands or drives. Every image is measured from
    its depth image, from an unorganised cloud of it, and from the ground plane alone; once exactly
    and once with noise of one pixel and one per cent. Errors are means over all images but those of
    the first second. No ROS is needed.
    """  # noqa: D301
    from e4_ros.benchmarks.machine import machine
    from e4_ros.benchmarks.ros.obstacles import DISTANCES_M, latency, measure

    result: dict[str, Any] = {
        'machine': machine(),
        'obstacles': measure(DISTANCES_M[::3] if quick else DISTANCES_M),
        'obstacles_latency_ms': latency(rounds=50 if quick else 300),
    }
    save_figures(result, out)
    _print(result)
    typer.echo(f'wrote {out}')


def _print(result: dict[str, Any]) -> None:
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
