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

"""One picture of a stream that learns: quality and key frames over time, and the swap."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.evaluation.learning_demo import LearningRun
from e4_ros.files import replacing

_WINDOW = 40  # frames that a point of a curve stands for
_STEP = 5
_BEFORE, _AFTER = '#d55e00', '#009e73'  # Okabe and Ito (2008)


def learning_figure(run: LearningRun) -> go.Figure:
    """F1 by the offline teacher, and the share of key frames, in a window that moves along."""
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08,
        subplot_titles=['F1 by the offline teacher', 'key frames: the network ran, share'],
    )  # fmt: skip
    end, swapped = len(run.records), run.swapped
    parts = [('nothing fitted', 0, end if swapped is None else swapped, _BEFORE)]
    if swapped is not None:
        parts.append(('fitted on the way', swapped, end, _AFTER))
    origin = run.records[0].stamp_s
    for name, first, last, color in parts:
        begins = range(first, max(last - _WINDOW, first) + 1, _STEP)
        middles = [run.records[min(b + _WINDOW // 2, last - 1)].stamp_s - origin for b in begins]
        quality = [run.f1(b, min(b + _WINDOW, last)) for b in begins]
        keys = [run.key_frames(b, min(b + _WINDOW, last)) for b in begins]
        for row, values in ((1, quality), (2, keys)):
            figure.add_scatter(
                x=middles, y=values, mode='lines', name=name, legendgroup=name,
                showlegend=row == 1, line={'color': color, 'width': 2.5}, row=row, col=1,
            )  # fmt: skip
    _mark(figure, run.records[run.learned - 1].stamp_s - origin, 'learned until here')
    if swapped is not None and swapped < end:
        _mark(figure, run.records[swapped].stamp_s - origin, 'certified on newer frames: swap')
    figure.update_yaxes(range=[0, 1.02])
    figure.update_xaxes(title_text='seconds of the stream', row=2, col=1)
    figure.update_layout(
        template='plotly_white', width=1000, height=640,
        title={'text': run.words, 'font': {'size': 13}}, legend={'orientation': 'h', 'y': -0.12},
    )  # fmt: skip
    return figure


def write_learning_picture(run: LearningRun, path: Path) -> None:
    """Write it as a page that needs nothing besides."""
    with replacing(path) as scratch:
        learning_figure(run).write_html(scratch, include_plotlyjs=True)


def _mark(figure: go.Figure, time_s: float, words: str) -> None:
    figure.add_vline(x=time_s, line={'color': '#4a5464', 'dash': 'dash', 'width': 1.2}, row='all')
    figure.add_annotation(
        x=time_s, y=0.06, text=words, showarrow=False, xanchor='left', font={'size': 11}, row=1,
        col=1,
    )  # fmt: skip
