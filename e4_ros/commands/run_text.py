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

"""What `e4 run` and the demo say at their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from e4_ros.evaluation.report.quality import Quality
    from e4_ros.evaluation.report.run_outputs import RunOutputs
    from e4_ros.evaluation.report.summary import Latency, Summary


def summary_table(outputs: RunOutputs) -> Table:
    """The numbers of a run and where its files are."""
    summary = outputs.summary
    table = Table(title=f'{summary.model} on {summary.source}', title_justify='left', box=None)
    table.add_column(style='dim')
    table.add_column(justify='right', style='bold')
    table.add_column(style='dim')
    _add_exits(table, summary)
    _add_risk(table, summary)
    _add_edge(table, summary)
    _add_latencies(table, summary)
    _add_labels(table, summary)
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
    table.add_row('latency, mean', f'{latency.mean:.2f} ms', _spread(latency))
    if (whole := summary.end_to_end_ms) is not None:
        spread = f'{_spread(whole)}, from the stamp to the topic'
        table.add_row('end to end, mean', f'{whole.mean:.2f} ms', spread)
    if full and summary.speedup_vs_full:
        tracked = '' if summary.risk is None else 'with the same tracker, on every frame; '
        note = f'{tracked}p50 {full.p50:.2f}'
        table.add_row('full network, mean', f'{full.mean:.2f} ms', note)
        against = f'ratio of the means, against the {summary.peer}'
        table.add_row('speed-up', f'{summary.speedup_vs_full:.2f} ×', against)
    if summary.agreement is not None or summary.f1_vs_full is not None:
        table.add_row('agreement with it', *_agreement(summary))


def _spread(latency: Latency) -> str:
    return f'p50 {latency.p50:.2f}  p95 {latency.p95:.2f}  p99 {latency.p99:.2f}'


def _agreement(summary: Summary) -> tuple[str, str]:
    value, alike = _figure(summary.f1_vs_full), summary.agreement
    if alike is None:
        return value, 'how alike, not how good: share of equal classes'
    boxes = alike.boxes
    return value, (
        f'how alike, not how good: F1 of {boxes.detections} boxes and its {boxes.labels}, '
        f'score ≥ {summary.min_score:g}'
    )


def _add_labels(table: Table, summary: Summary) -> None:
    judged = summary.by_labels
    if judged is None:
        return
    run, full = judged.run, judged.full
    boxes = f'{run.boxes.labels} labels, {run.boxes.detections} detections'
    table.add_row('F1 by labels', _figure(run.f1), f'{boxes} in {judged.frames} frames')
    if run.f1_interval:
        low, high = run.f1_interval
        table.add_row('', '', f'95 % interval {low:.3f} to {high:.3f}')
    if full is not None:
        apart = judged.f1_difference
        note = '' if apart is None else f'; difference {apart[0]:+.3f} to {apart[1]:+.3f} (95 %)'
        table.add_row(
            '  full network', _figure(full.f1), f'{full.boxes.detections} detections{note}'
        )
    others = [row for row in run.at_limits if row.iou == 0.5 and row.min_score > summary.min_score]
    if others:
        limits = '  '.join(f'{row.min_score:g} {_figure(row.f1)}' for row in others[::2])
        table.add_row('', '', f'at other score limits: {limits}')
    table.add_row('  precision', _figure(run.precision), f'recall {_figure(run.recall)}')
    table.add_row('  average precision', _figure(run.average_precision), _beside(full))
    if run.delay is not None:
        waited = 'n/a' if run.delay.mean_frames is None else f'{run.delay.mean_frames:.1f} frames'
        count = f'mean of {run.delay.reported} new objects; {run.delay.never} never reported'
        if full is not None and full.delay is not None and full.delay.mean_frames is not None:
            count += f'; full network {full.delay.mean_frames:.1f}'
        table.add_row('  delay', waited, count)
    if run.id_switches is not None:
        table.add_row('  id switches', str(run.id_switches), f'IDF1 {_figure(run.idf1)}')


def _beside(full: Quality | None) -> str:
    return '' if full is None else f'full network {_figure(full.average_precision)}'


def _figure(value: float | None) -> str:
    return 'n/a' if value is None else f'{value:.3f}'


def _add_risk(table: Table, summary: Summary) -> None:
    risk = summary.risk
    if risk is None:
        return
    seen = 'n/a' if risk.seen is None else f'{risk.seen:.3f}'
    often = '' if not risk.key_frames else f', one frame in {1 / risk.key_frames:.1f}'
    table.add_row('key frames', f'{risk.key_frames:.1%}', f'where the network ran{often}')
    asked = f'loss of a frame between them; {risk.asked:g} is allowed'
    table.add_row('  risk seen', seen, asked)


def _add_edge(table: Table, summary: Summary) -> None:
    from e4_ros.perception.palette import joules

    edge = summary.edge
    if edge is None:
        return
    ends = f'{edge.answered} answered, {edge.expired} expired, {edge.refused} refused'
    table.add_row('edge server', f'{edge.sent} asked', f'{ends}, {edge.lost} lost')
    uses = (
        f'{edge.taken} taken at once, {edge.corrected} corrected tracks, {edge.dropped} of no use'
    )
    table.add_row('  answers', str(edge.answered), f'{uses}; {edge.late} late')
    if edge.answer_ms is not None:
        legs = '  '.join(f'{leg} {ms:.1f}' for leg, ms in edge.legs_ms.items())
        table.add_row('  answer after', f'{edge.answer_ms.mean:.1f} ms', f'mean of {legs}')
    table.add_row('  sent', f'{edge.bytes_per_frame / 1e3:.1f} kB', 'a frame of the run')
    if edge.radio_j_per_frame is not None:
        table.add_row('  radio', joules(edge.radio_j_per_frame), 'a frame, modelled')
    for reason, count in edge.why_local.items():
        table.add_row('  stayed local', str(count), escape(reason))


def _add_audits(table: Table, summary: Summary) -> None:
    from e4_ros.perception.palette import joules

    audits = summary.audits
    if audits is None or not audits.passes:
        return
    lost = ', '.join(f'{name} {value:.3f}' for name, value in audits.loss.items())
    verdict = f'by a closer look these lost, on average: {lost}' if lost else 'no verdict yet'
    table.add_row('audits', str(audits.count), verdict)
    after = f'a frame, after its answer: {audits.passes} passes of the network'
    table.add_row('  they add', f'{audits.ms_per_frame:.2f} ms', after)
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
