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

"""The page of a run: self-contained HTML that opens anywhere, without a network."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path
from string import Template

import cv2
import numpy as np

from e4_ros.evaluation.report import charts, quality_section
from e4_ros.evaluation.report.summary import Summary
from e4_ros.files import write_whole
from e4_ros.perception.palette import exit_colors, joules, seconds
from e4_ros.perception.records import NO_SOURCE, FrameRecord, RunInfo


def write_report(
    records: Sequence[FrameRecord],
    info: RunInfo,
    summary: Summary,
    samples: Mapping[int, np.ndarray],
    path: Path,
) -> None:
    """Write the page.

    Args:
        records: A record for each processed frame.
        info: Facts about the whole run.
        summary: The run in numbers.
        samples: Annotated frames ``(H, W, 3)`` uint8 RGB, by frame index.
        path: Path of the file to write.
    """
    from plotly.offline import get_plotlyjs

    template = Template(page_part('report.html'))
    figures = charts.all_figures(records, info, summary)
    page = template.substitute(
        title=html.escape(f'{info.model} on {info.source}'),
        headline=headline(summary, info),
        subtitle=_subtitle(info),
        tiles=_tiles(summary),
        exits=exit_bar(summary.exits, summary.frames_processed),
        labels=quality_section.section(summary),
        problems=_problems(info),
        samples=_samples(records, info, samples),
        notes=_notes(summary, info),
        figures=json.dumps(figures).replace('</', '<\\/'),
        plotly=get_plotlyjs(),
        style=page_part('page.css'),
        script=page_part('page.js'),
    )
    write_whole(path, page)


def page_part(name: str) -> str:
    """Text of a file that pages are made of: a template, the style, the script of all pages."""
    return resources.files(__package__).joinpath(name).read_text()


def headline(summary: Summary, info: RunInfo) -> str:
    """The run in one sentence, as HTML."""
    parts = []
    if summary.speedup_vs_full is not None:
        parts.append(f'<b>{summary.speedup_vs_full:.2f}×</b> the speed of the {summary.peer}')
    share = _energy_share(summary)
    if share is not None:
        parts.append(f'<b>{share:.0%}</b> of its energy')
    text = ' at '.join(parts)
    judged = summary.by_labels
    if judged is not None and judged.run.f1 is not None:
        text += f'{"," if text else ""} <b>{judged.run.f1:.3f}</b> F1 by labels'
        if judged.full is not None and judged.full.f1 is not None:
            text += f', where it has {judged.full.f1:.3f}'
    elif summary.f1_vs_full is not None:
        text += f'{"," if text else ""} agreement with it <b>{summary.f1_vs_full:.3f}</b>'
    return text or f'<b>{summary.latency_ms.mean:.1f} ms</b> a frame on average'


def _energy_share(summary: Summary) -> float | None:
    if not summary.energy_j_per_frame or not summary.baseline_energy_j_per_frame:
        return None
    return summary.energy_j_per_frame / summary.baseline_energy_j_per_frame


def _subtitle(info: RunInfo) -> str:
    facts = {
        'controller': info.controller,
        'runtime': info.runtime,
        'device': info.device,
        'latency measured on': info.machine,
        'clocks and joules of': _board(info),
    }
    items = [f'<span>{k} <b>{html.escape(v)}</b></span>' for k, v in facts.items() if v]
    items.append(f'<span>{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}</span>')
    return ''.join(items)


def _board(info: RunInfo) -> str:
    if not info.board_device:
        return info.board
    return f'{info.board}, as if its {info.board_device} computed'


def _tiles(summary: Summary) -> str:
    latency, full = summary.latency_ms, summary.full_latency_ms
    tiles = [
        (
            'Latency, mean',
            f'{latency.mean:.1f}<small> ms</small>',
            f'{summary.peer} {full.mean:.1f} ms' if full else 'no comparison in this run',
        ),
        (
            'Latency, p50 / p95 / p99',
            f'{latency.p50:.1f}<small> / {latency.p95:.1f} / {latency.p99:.1f} ms</small>',
            f'{summary.peer} p50 {full.p50:.1f} ms' if full else '',
        ),
    ]
    if (whole := summary.end_to_end_ms) is not None:
        spread = f'{whole.p50:.1f}<small> / {whole.p95:.1f} / {whole.p99:.1f} ms</small>'
        tiles.append(('Stamp to topic, p50 / p95 / p99', spread, 'waits and copies included'))
    if (risk := summary.risk) is not None:
        seen = 'n/a' if risk.seen is None else f'{risk.seen:.3f}'
        note = f'loss of a frame {seen}, {risk.asked:g} allowed'
        tiles.append(('Key frames: the network ran', f'{risk.key_frames:.0%}', note))
    if (edge := summary.edge) is not None:
        note = f'{edge.answered} of {edge.sent} requests answered, {edge.late} of them late'
        used = edge.taken + edge.corrected
        tiles.append(('Edge server: answers used', f'{used}', note))
    if summary.energy_j_per_frame is not None:
        baseline = summary.baseline_energy_j_per_frame
        against = f'full depth, default clocks {joules(baseline)}' if baseline else ''
        badge = f'<em class="badge {summary.energy_source}">{summary.energy_source}</em>'
        number, unit = joules(summary.energy_j_per_frame).split(' ')
        scope = 'with its wait' if summary.waits_counted else 'computation alone'
        name = f'Energy a frame, {scope} {badge}'
        tiles.append((name, f'{number}<small> {unit}</small>', against))
    dropped = f'{summary.frames_dropped} dropped of {summary.frames_received} received'
    tiles.append(('Frames', f'{summary.frames_processed}', dropped))
    return ''.join(
        f'<div class="tile"><h3>{name}</h3><p>{value}</p><span>{note}</span></div>'
        for name, value, note in tiles
    )


def exit_bar(exits: Mapping[str, int], frames: int) -> str:
    """The share of each exit as a bar with a legend, as HTML."""
    colors = exit_colors(list(exits))
    parts, legend = [], []
    for name, count in exits.items():
        share, color = count / max(frames, 1), colors[name]
        if count:
            parts.append(f'<i style="width:{share:.2%};background:{color}"></i>')
        legend.append(
            f'<span><i style="background:{color}"></i>{html.escape(name)} '
            f'<b>{share:.0%}</b> {count}</span>'
        )
    return f'<div class="bar">{"".join(parts)}</div><div class="legend">{"".join(legend)}</div>'


def _problems(info: RunInfo) -> str:
    if not info.problems:
        return ''
    shown = [f'<li>{html.escape(problem)}</li>' for problem in info.problems[:20]]
    more = len(info.problems) - len(shown)
    if more:
        shown.append(f'<li>and {more} more</li>')
    return f'<section class="problems"><h2>What went wrong</h2><ul>{"".join(shown)}</ul></section>'


def _samples(
    records: Sequence[FrameRecord], info: RunInfo, samples: Mapping[int, np.ndarray]
) -> str:
    if not samples:
        return ''
    colors = exit_colors(info.exits)
    by_frame = {record.frame: record for record in records}
    figures = []
    for frame in sorted(samples):
        record = by_frame[frame]
        name = record.result.exit
        facts = [f'frame {frame}', seconds(record.result.latency_s)]
        if record.energy_source != NO_SOURCE:
            facts.append(joules(record.energy_j))
        figures.append(
            f'<figure><img alt="frame {frame}" src="{_data_uri(samples[frame])}"><figcaption>'
            f'<b style="background:{colors.get(name, "#888")}">{html.escape(name)}</b>'
            f'{" · ".join(facts)}</figcaption></figure>'
        )
    return (
        '<section><h2>Frames, and the exit that answered each</h2>'
        f'<div class="samples">{"".join(figures)}</div></section>'
    )


def _data_uri(picture: np.ndarray) -> str:
    ok, data = cv2.imencode(
        '.jpg', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 82]
    )
    assert ok, 'an 8-bit RGB picture always encodes as JPEG'
    return 'data:image/jpeg;base64,' + base64.b64encode(data.tobytes()).decode()


def _notes(summary: Summary, info: RunInfo) -> str:
    notes = [
        'Latency runs from the start of a frame’s computation (preparation included) to its '
        'answer, after a warm-up.'
    ]
    if summary.full_latency_ms:
        notes.append(
            'The full clip model looked at every sample time of every window, on the same frames '
            'in the same run. Speed is the ratio of the means.'
            if info.task == 'clips'
            else 'The full network ran uncut in the same runtime with as many threads, on the same '
            'frames in the same run; which of the two went first alternated from frame to frame. '
            'Speed is the ratio of the means.'
        )
    notes += quality_section.notes(summary)
    if summary.energy_source == 'modelled':
        notes.append(
            f'Joules and clocks are <b>modelled</b> from the description of {info.board}: nothing '
            'was measured on such a board.'
        )
    elif summary.energy_source == 'measured':
        notes.append('Joules were <b>measured</b> at the board’s rails.')
    if summary.energy_source != NO_SOURCE:
        notes.append(
            'A frame’s joules run from the answer before it to its own: the wait for it is in.'
            if summary.waits_counted
            else 'Joules cover a frame’s computation, not the wait between frames.'
        )
    if live := summary.with_waits:
        notes.append(
            f'With the waits of {1 / live.period_s:.3g} frames a second, as on a robot, a frame '
            f'would take {joules(live.energy_j)}, and {joules(live.baseline_energy_j)} at full '
            'depth and default clocks.'
        )
    if summary.baseline_energy_j_per_frame:
        waits = ', and waits at the lowest' if summary.waits_counted else ''
        notes.append(
            'The baseline runs every frame at full depth and the stock system’s default '
            f'clocks{waits}.'
        )
    return ''.join(f'<li>{note}</li>' for note in notes)
