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

"""The parts of a run's page that say how good and how alike its answers are."""

from __future__ import annotations

import html

import plotly.graph_objects as go

from e4_ros.evaluation.report.figure_style import GREY, plain
from e4_ros.evaluation.report.quality import ByLabels, Quality, Reported
from e4_ros.evaluation.report.summary import Summary

CHART = 'by_labels'


def section(summary: Summary) -> str:
    """The figures of the run and of the full network side by side; empty without labels."""
    judged = summary.by_labels
    if judged is None:
        return ''
    columns = {'this run': judged.run}
    if judged.full is not None:
        columns['full network'] = judged.full
    rows = [
        ('F1', [_with_interval(q) for q in columns.values()]),
        ('precision', [figure(q.precision) for q in columns.values()]),
        ('recall', [figure(q.recall) for q in columns.values()]),
        ('average precision', [figure(q.average_precision) for q in columns.values()]),
        ('delay of new objects', [_delay(q.delay) for q in columns.values()]),
        ('id switches', ['n/a' if q.id_switches is None else str(q.id_switches)
                         for q in columns.values()]),
        ('labels', [str(q.boxes.labels) for q in columns.values()]),
        ('detections', [str(q.boxes.detections) for q in columns.values()]),
    ]  # fmt: skip
    head = ''.join(f'<th>{name}</th>' for name in columns)
    body = ''.join(
        f'<tr><td>{name}</td>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in rows
    )
    return (
        f'<section><h2>Judged by labels: {html.escape(judged.labels)}, {judged.frames} frames</h2>'
        f'<div class="judged"><table><tr><th></th>{head}</tr>{body}</table>'
        f'<div id="{CHART}"></div></div></section>'
    )


def chart(judged: ByLabels) -> go.Figure:
    """F1 over score limits, of the run and the full network, at both overlaps."""
    drawn = go.Figure()
    for name, quality, color in (
        ('this run', judged.run, '#2a8fd0'),
        ('full network', judged.full, GREY),
    ):
        if quality is None:
            continue
        for iou in sorted({row.iou for row in quality.at_limits}, reverse=True):
            rows = [row for row in quality.at_limits if row.iou == iou]
            drawn.add_scatter(
                x=[row.min_score for row in rows],
                y=[row.f1 for row in rows],
                name=f'{name}, IoU {iou:g}',
                mode='lines+markers',
                line={'color': color, 'dash': 'solid' if iou == 0.5 else 'dot', 'width': 2},
                hovertemplate='score ≥ %{x}: F1 %{y:.3f}',
            )
    drawn.update_xaxes(title_text='least score of a detection')
    drawn.update_yaxes(title_text='F1 by labels', rangemode='tozero')
    drawn.update_layout(height=320)
    return plain(drawn)


def notes(summary: Summary) -> list[str]:
    """How the figures are to be read and were made, in sentences."""
    return [*_about_agreement(summary), *_about_labels(summary)]


def _about_agreement(summary: Summary) -> list[str]:
    alike = summary.agreement
    if alike is None and summary.f1_vs_full is None:
        return []
    judge = (
        f'Agreement says how alike the answers of the run and of the {summary.peer} are, not which '
        'are better: exits that learnt from the offline teacher may find what the full network '
        'misses.'
    )
    if alike is None:
        return [f'{judge} It is the share of frames with the same best class.']
    boxes = alike.boxes
    made = (
        f'It is {figure(summary.f1_vs_full)}: the F1 of {boxes.detections} published boxes (score '
        f'at least {summary.min_score:g}) and the full network’s {boxes.labels}, of which '
        f'{boxes.hits} overlap one to one (Hungarian) by an IoU of at least 0.5.'
    )
    return [f'{judge} {made}']


def _about_labels(summary: Summary) -> list[str]:
    judged = summary.by_labels
    if judged is None:
        return []
    made = [
        'By labels, a hit is a published detection that overlaps a label by an IoU of at least '
        '0.5, one to one; ignore regions are neither hits nor misses. The delay is the mean number '
        'of frames from an object’s first label to its first hit, over the objects that were '
        'reported. n/a: there is nothing behind the figure.'
    ]
    if judged.f1_difference is not None:
        low, high = judged.f1_difference
        made.append(
            f'This run’s F1 by labels less the full network’s lies between {low:+.3f} and '
            f'{high:+.3f} (95 %, blocks of neighbouring frames drawn with replacement).'
        )
    return made


def figure(value: float | None) -> str:
    """A share with three digits, or that there is none."""
    return 'n/a' if value is None else f'{value:.3f}'


def _with_interval(quality: Quality) -> str:
    if quality.f1_interval is None:
        return figure(quality.f1)
    low, high = quality.f1_interval
    return f'{figure(quality.f1)} <small>{low:.3f} to {high:.3f}</small>'


def _delay(delay: Reported | None) -> str:
    if delay is None:
        return 'n/a'
    mean = 'n/a' if delay.mean_frames is None else f'{delay.mean_frames:.1f} frames'
    return f'{mean} <small>{delay.reported} reported, {delay.never} never</small>'
