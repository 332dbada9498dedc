"""What `e4 run` and the demo say at their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from e4_ros.evaluation.report.run_outputs import RunOutputs
    from e4_ros.evaluation.report.summary import Summary


def summary_table(outputs: RunOutputs) -> Table:
    """The numbers of a run and where its files are."""
    summary = outputs.summary
    table = Table(title=f'{summary.model} on {summary.source}', title_justify='left', box=None)
    table.add_column(style='dim')
    table.add_column(justify='right', style='bold')
    table.add_column(style='dim')
    _add_exits(table, summary)
    _add_latencies(table, summary)
    _add_audits(table, summary)
    _add_energy(table, summary)
    table.add_row('runtime', '', f'{summary.runtime}, device {summary.device or "unknown"}')
    files = (outputs.report_html, outputs.summary_json, outputs.detections_jsonl, outputs.annotated)
    for path in files:
        if path is not None:
            table.add_row('written', '', str(path))
    return table


def _add_exits(table: Table, summary: Summary) -> None:
    from e4_ros.perception.palette import exit_colors

    dropped = f'{summary.frames_dropped} dropped of {summary.frames_received} received'
    table.add_row('frames', str(summary.frames_processed), dropped)
    colors = exit_colors(list(summary.exits))
    for name, count in summary.exits.items():
        share = f'{count / summary.frames_processed:.1%}'
        table.add_row(f'  exit [{colors[name]}]■[/] {escape(name)}', share, str(count))


def _add_latencies(table: Table, summary: Summary) -> None:
    latency, full = summary.latency_ms, summary.full_latency_ms
    spread = f'p50 {latency.p50:.2f}  p95 {latency.p95:.2f}  p99 {latency.p99:.2f}'
    table.add_row('latency, mean', f'{latency.mean:.2f} ms', spread)
    if full and summary.speedup_vs_full:
        table.add_row('full network, mean', f'{full.mean:.2f} ms', f'p50 {full.p50:.2f}')
        table.add_row('speed-up', f'{summary.speedup_vs_full:.2f} ×', 'ratio of the means')
    if summary.f1_vs_full is not None:
        table.add_row('agreement with it', f'{summary.f1_vs_full:.3f}', 'F1, or top-1 for classes')


def _add_audits(table: Table, summary: Summary) -> None:
    from e4_ros.perception.palette import joules

    audits = summary.audits
    if audits is None or not audits.count:
        return
    apart = ', '.join(f'{name} {value:.3f}' for name, value in audits.disagreement.items())
    table.add_row('audits', str(audits.count), f'mean disagreement: {apart}')
    table.add_row('  they add', f'{audits.ms_per_frame:.2f} ms', 'a frame, after its answer')
    if audits.energy_j_per_frame is not None:
        table.add_row('', joules(audits.energy_j_per_frame), 'a frame, not in the rows below')
    for name, reason in audits.switched_off.items():
        table.add_row(f'  [red]{escape(name)} off[/]', '', escape(reason))


def _add_energy(table: Table, summary: Summary) -> None:
    from e4_ros.perception.palette import joules

    scope = 'with the wait for it' if summary.waits_counted else 'its computation alone'
    if summary.energy_j_per_frame is not None:
        where = f'{summary.energy_source}, {summary.board}, {scope}'
        table.add_row('energy a frame', joules(summary.energy_j_per_frame), where)
    if summary.baseline_energy_j_per_frame is not None:
        baseline = joules(summary.baseline_energy_j_per_frame)
        table.add_row('  baseline', baseline, 'full depth, default clocks')
    live = summary.with_waits
    if live is not None:
        pace = f'at {1 / live.period_s:.3g} frames a second, as on a robot'
        table.add_row('with the waits', joules(live.energy_j), pace)
        table.add_row('  baseline', joules(live.baseline_energy_j), 'full depth, default clocks')
