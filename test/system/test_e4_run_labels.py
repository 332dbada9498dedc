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

"""`e4 run --labels` as a user runs it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app

FULL = ('--controller', 'full', '--threads', 1, '--no-baseline', '--board', 'none')
FOOTAGE = Path(os.environ.get('E4_FOOTAGE', ''))
"""Folder with videos and labels that must not be shipped, where somebody has them."""


def run(*arguments: object):
    return CliRunner().invoke(app, ['run', *map(str, arguments)])


@pytest.fixture(scope='module')
def found(people, tmp_path_factory):
    """What the full network says of real frames, as lines of its file."""
    out = tmp_path_factory.mktemp('found')
    result = run(people, *FULL, '--out', out)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in (out / 'detections.jsonl').read_text().splitlines()]


def labels_of(found, path: Path) -> Path:
    rows = []
    for line in found:
        for number, detection in enumerate(line['detections']):
            x0, y0, x1, y1 = detection['box']
            box = f'{x0:.2f},{y0:.2f},{x1 - x0:.2f},{y1 - y0:.2f}'
            rows.append(f'{line["frame"] + 1},{number},{box},1')
    path.write_text('\n'.join(rows) + '\n')
    return path


def test_a_run_that_finds_all_that_is_labelled_is_perfect(people, found, tmp_path):
    boxes = sum(len(line['detections']) for line in found)
    assert boxes, 'the network finds somebody in these frames'
    labels = labels_of(found, tmp_path / 'gt.txt')
    result = run(people, *FULL, '--labels', labels, '--out', tmp_path / 'out')
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    judged = summary['by_labels']
    assert judged['run']['boxes'] == {'hits': boxes, 'detections': boxes, 'labels': boxes}
    assert judged['run']['f1'] == judged['run']['average_precision'] == 1
    assert judged['run']['delay']['mean_frames'] == 0
    assert judged['full'] is None
    assert f'{boxes} labels, {boxes} detections' in result.stdout
    assert 'Judged by labels' in (tmp_path / 'out' / 'report.html').read_text()


def test_what_is_published_is_what_is_judged(people, found, tmp_path):
    """With a higher limit fewer detections are written, and as many are judged."""
    boxes = sum(len(line['detections']) for line in found)
    limit = 0.5  # one of the two people scores less in each of the frames
    labels = labels_of(found, tmp_path / 'gt.txt')
    out = tmp_path / 'out'
    options = ('--min-score', limit, '--labels', labels, '--out', out)
    result = run(people, *FULL, *options)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (out / 'detections.jsonl').read_text().splitlines()]
    written = sum(len(line['detections']) for line in lines)
    judged = json.loads((out / 'summary.json').read_text())['by_labels']['run']
    assert 0 < written < boxes
    assert judged['boxes']['detections'] == judged['boxes']['hits'] == written


def test_frames_without_labels_are_said_and_leave_no_figure(tmp_path):
    labels = tmp_path / 'gt.txt'
    labels.write_text('100,1,50,50,20,40,1\n')
    result = run('bikes', '--frames', 2, *FULL, '--labels', labels, '--out', tmp_path / 'out')
    assert result.exit_code == 0, result.output
    assert 'none of the 2 frames that ran has labels' in ' '.join(result.stderr.split())
    assert 'n/a' in result.stdout


@pytest.mark.parametrize(
    ('text', 'options', 'says'),
    [
        (None, (), 'gt.txt'),
        ('nonsense\n', (), 'line 1: 1 values between commas'),
        ('9999,1,50,50,20,40,1\n', (), 'labels up to frame 9999, but the video has 250 frames'),
        ('1,1,5000,50,20,40,1\n', (), 'outside the picture of 640×272 pixels'),
        ('1,1,50,50,20,40,1\n', ('--labels-class', 'dragon'), 'no class "dragon"'),
        ('1,1,50,50,20,40,1\n', ('--model', 'efficientnet_lite0'), 'answers with classes'),
    ],
)
def test_labels_that_cannot_judge_are_refused_before_any_frame(text, options, says, tmp_path):
    labels = tmp_path / 'gt.txt'
    if text is not None:
        labels.write_text(text)
    result = run('bikes', *FULL, *options, '--labels', labels, '--out', tmp_path / 'out')
    assert result.exit_code in (1, 2), result.output
    assert says in ' '.join(result.stderr.split())
    assert 'Traceback' not in result.output
    assert not (tmp_path / 'out' / 'detections.jsonl').exists()


@pytest.mark.skipif(
    not (FOOTAGE / 'TUD-Stadtmitte').is_dir(), reason='E4_FOOTAGE names no folder with footage'
)
def test_the_full_network_on_footage_that_people_labelled(tmp_path):
    """The figure of an independent computation: F1 .755, score .5, IoU .5, 179 frames."""
    folder = FOOTAGE / 'TUD-Stadtmitte'
    video, labels = folder / 'TUD-Stadtmitte.mp4', folder / 'gt.txt'
    options = ('--min-score', 0.5, '--labels', labels, '--out', tmp_path)
    result = run(video, *FULL, *options)
    assert result.exit_code == 0, result.output
    judged = json.loads((tmp_path / 'summary.json').read_text())['by_labels']
    assert judged['frames'] == 179
    assert judged['run']['boxes']['labels'] == 1156
    assert judged['run']['f1'] == pytest.approx(0.755, abs=0.001)
