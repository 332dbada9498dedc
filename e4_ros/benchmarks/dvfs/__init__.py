"""`e4 bench dvfs`: the helper's latency, its way back from kills, hostile input, and meters."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

FUSE_BOARD = 'jetson_orin_nano'


class Size(NamedTuple):
    """How much is tried."""

    steps: int
    ros_steps: int
    kills: int
    boards: int | None
    datagrams: int
    requests: int
    meter_s: float


FULL = Size(5000, 1000, 1000, None, 100_000, 2000, 20.0)
QUICK = Size(300, 100, 24, 1, 5000, 100, 2.0)


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('dvfs')(dvfs)


def dvfs(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')],
    quick: Annotated[bool, typer.Option(help='A short form, under a minute.')] = False,
) -> None:
    """Step latency by socket, FUSE, topic and service; kills; fuzzing; meters."""
    import logging

    from rich.console import Console
    from rich.progress import Progress

    logging.disable(logging.WARNING)  # hostile clients and killed helpers are the point here
    console = Console()
    # No thread of its own: the kills fork this process.
    with Progress(console=console, transient=True, auto_refresh=False) as progress:
        result = run(QUICK if quick else FULL, progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1))
    _print(console, result)


def run(size: Size, progress: Progress) -> dict[str, Any]:
    """Everything; what this machine cannot measure is None, and ``not_measured`` says why."""
    from e4_ros.benchmarks.dvfs.fuzz import run_fuzz
    from e4_ros.benchmarks.dvfs.kills import run_kills
    from e4_ros.benchmarks.dvfs.waveforms import measure_meters

    task = progress.add_task('kills', total=size.kills + size.datagrams + 3)

    def told(advance: float = 1) -> None:
        progress.advance(task, advance)
        progress.refresh()

    kills = run_kills(size.kills, boards=size.boards, told=told)
    progress.update(task, description='hostile datagrams')
    fuzz = run_fuzz(size.datagrams, told=told)
    progress.update(task, description='latency')
    progress.refresh()
    result: dict[str, Any] = {'machine': _machine(), 'not_measured': {}}
    result |= _latencies(size, told, result['not_measured'])
    progress.update(task, description='meters')
    progress.refresh()
    result['kills'] = kills.summary()
    requests = result.pop('requests', None) or {'tried': 0, 'stolen': 0, 'crashes': 0}
    result['fuzz'] = {
        'tried': fuzz.tried + requests['tried'],
        'crashes': fuzz.crashes + requests['crashes'],
        'bad_writes': fuzz.bad_writes,
        'leases_stolen': fuzz.stolen + requests['stolen'],
        'service_requests': requests['tried'],
    }
    result['meters'] = [meter._asdict() for meter in measure_meters(size.meter_s)]
    told()
    return result


def _latencies(size: Size, told: Any, missing: dict[str, str]) -> dict[str, Any]:
    from e4_ros.benchmarks.dvfs import latency, ros_steps
    from e4_ros.energy.virtual_mount import mounted, why_not

    result: dict[str, Any] = {}
    with latency.memory_tree() as root, latency.stepping(root) as client:
        idle = latency.measure(client, size.steps)
        with latency.all_cores_inferring():
            busy = latency.measure(client, size.steps)
    result['step_client_us'] = latency.percentiles(busy.client_us)
    result['step_to_write_us'] = latency.percentiles(busy.write_us)
    result['step_client_idle_us'] = latency.percentiles(idle.client_us)
    result['step_to_write_idle_us'] = latency.percentiles(idle.write_us)
    told()
    result['fuse_to_write_us'] = None
    if reason := why_not():
        missing['fuse_to_write_us'] = reason
    else:
        with tempfile.TemporaryDirectory(prefix='e4') as name:
            with mounted(FUSE_BOARD, name) as root, latency.stepping(root) as client:
                steps = latency.measure(client, size.steps // 5, gap_s=0.02)
            result['fuse_to_write_us'] = latency.percentiles(steps.write_us)
    told()
    result |= {'service_us': None, 'topic_us': None}
    if reason := ros_steps.why_no_ros():
        missing['service_us'] = missing['topic_us'] = reason
    else:
        result |= ros_steps.run_ros(size.ros_steps, size.requests)
    return result


def _machine() -> dict[str, Any]:
    return {
        'cpu': platform.processor() or platform.machine(),
        'cores': len(os.sched_getaffinity(0)),
        'kernel': platform.release(),
        'python': platform.python_version(),
    }


def _print(console: Any, result: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table('a step', 'p50 µs', 'p99 µs', title='e4 bench dvfs', title_justify='left')
    for key, label in (
        ('step_client_idle_us', 'cost for the client, idle machine'),
        ('step_client_us', 'cost for the client, all cores inferring'),
        ('step_to_write_idle_us', 'until written, idle machine'),
        ('step_to_write_us', 'until written, all cores inferring'),
        ('fuse_to_write_us', 'until written, virtual board'),
        ('topic_us', 'until written, sent as a ROS topic'),
        ('service_us', 'until written, sent as a ROS service call'),
    ):
        figures = result[key]
        row = ('–', '–') if figures is None else (f'{figures["p50"]:g}', f'{figures["p99"]:g}')
        table.add_row(label, *row)
    console.print(table)
    kills, fuzz = result['kills'], result['fuzz']
    console.print(
        f'kills: {kills["tried"]} tried ({kills["clocks_taken"]} with clocks taken), '
        f'{kills["lost"]} lost, {kills["late"]} later than 200 ms; '
        f'back after {kills["restore_ms"]["p50"]:g} ms p50, {kills["restore_ms"]["max"]:g} ms max'
    )
    console.print(
        f'fuzz: {fuzz["tried"]} tried, {fuzz["crashes"]} crashes, {fuzz["bad_writes"]} bad writes, '
        f'{fuzz["leases_stolen"]} leases stolen'
    )
    for meter in result['meters']:
        console.print(f'meter: {meter["meter"]}: {meter["error_percent"]:g} % error')
    for key, reason in result['not_measured'].items():
        console.print(f'not measured: {key}: {reason}')
