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

"""Folders of bags: whole or not there, recognised by content and options, and merged as one."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from e4_ros.evaluation.job import JobOptions
from e4_ros.evaluation.report.run_outputs import write_outputs
from e4_ros.evaluation.report.summary import summarise
from e4_ros.evaluation.spread.bag_folders import BagFolder, folder_names, held, kept_result
from e4_ros.evaluation.spread.bag_task import Bag, run_bag
from e4_ros.evaluation.spread.fingerprint import marks_of
from e4_ros.evaluation.spread.merged import BagRow, merge, with_summary
from e4_ros.evaluation.spread.merged_page import write_page
from e4_ros.perception.records import FrameRecord, RunInfo
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.frame_result import FrameResult


def test_folders_are_called_after_their_sources():
    sources = ['a/front.mcap', 'b/front.mcap', 'runs/last tuesday/', 'rtsp.v2.mp4', 'bikes']
    assert folder_names(sources) == ['front', 'front-2', 'last_tuesday', 'rtsp.v2', 'bikes']


def test_a_source_given_twice_is_refused(tmp_path):
    (tmp_path / 'a').mkdir()
    with pytest.raises(ValueError, match='more than once'):
        folder_names([str(tmp_path / 'a'), f'{tmp_path}/a/'])


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for index in range(3):
        (folder / f'{index}.png').write_bytes(bytes([index]) * 10)
    return folder


def complete(out, bag):
    folder = BagFolder(out, bag.name)
    folder.append('summary.json', b'{"a":')
    folder.append('summary.json', b' 1}')
    marks = marks_of(bag.path)
    folder.finish({'key': bag.key(marks), 'marks': marks, 'frames': 3})


def test_a_folder_is_whole_or_not_there(source, tmp_path):
    out = tmp_path / 'out'
    folder = BagFolder(out, 'images')
    folder.append('summary.json', b'{')
    assert not (out / 'images').exists()
    folder.discard()
    assert list(out.iterdir()) == []
    complete(out, Bag('images', str(source), JobOptions()))
    assert json.loads((out / 'images' / 'summary.json').read_text()) == {'a': 1}
    assert [path.name for path in out.iterdir()] == ['images']


def test_what_is_complete_is_recognised_by_content_and_options(source, tmp_path):
    out, options = tmp_path / 'out', JobOptions(threads=1)
    bag = Bag('images', str(source), options)
    assert kept_result(out, bag) is None
    complete(out, bag)
    assert kept_result(out, bag)['frames'] == 3
    os.utime(source / '0.png', (1, 1))
    assert kept_result(out, bag), 'the content is the same'
    assert kept_result(out, Bag('images', str(source), JobOptions(threads=2))) is None
    assert kept_result(out, Bag('images', str(source), options, limit=5)) is None
    assert kept_result(out, Bag('images', str(source), options, version='0')) is not None
    (source / '0.png').write_bytes(b'another')
    assert kept_result(out, bag) is None
    (out / 'images' / 'made_from.json').write_text('{"key"')
    assert kept_result(out, bag) is None


def test_a_file_that_options_name_counts_by_its_content(source, tmp_path):
    plan = tmp_path / 'plan.json'
    plan.write_text('{}')
    bag = Bag('images', str(source), JobOptions(plan=plan))
    key = bag.key(marks_of(source))
    plan.write_text('{ }')
    assert bag.key(marks_of(source)) != key


def test_two_commands_do_not_write_one_folder(tmp_path):
    with held(tmp_path), pytest.raises(OSError, match='give another --out'), held(tmp_path):
        pass
    (tmp_path / '.x.part').mkdir()
    with held(tmp_path):
        assert not (tmp_path / '.x.part').exists(), 'what a killed command left'


@pytest.mark.parametrize(
    ('source', 'version', 'words'),
    [
        ('nosuch.mp4', None, 'or give --ship'),
        ('/dev/video9', None, 'does not exist'),
        ('rtsp://127.0.0.1:1/x', None, 'does not exist'),
        ('nosuch.mp4', '0.0.1', 'install the same on all machines'),
    ],
)
def test_a_bag_that_no_worker_can_run_says_why(source, version, words):
    bag = Bag('b', source, JobOptions(), **({} if version is None else {'version': version}))
    with pytest.raises(ValueError, match=words):
        run_bag(lambda value: None, bag)


def records(first: int, count: int) -> list[FrameRecord]:
    rng = np.random.default_rng(first)
    found = []
    for index in range(count):
        boxes = np.array([[10, 10, 50, 90], [100, 20, 140, 95]], float)[: 1 + index % 2]
        shifted = boxes + rng.integers(0, 30)
        exit_name = 'full' if index % 3 == 0 else 'track'
        answer = Detections.of(boxes, np.full(len(boxes), 0.9), np.zeros(len(boxes)))
        other = Detections.of(shifted, np.full(len(boxes), 0.8), np.zeros(len(boxes)))
        latency = float(rng.uniform(0.005, 0.03))
        found.append(
            FrameRecord(
                frame=index, stamp_s=index / 10,
                result=FrameResult(answer, exit_name, 0.0, {}, [latency], latency),
                energy_j=float(rng.uniform(0.1, 0.2)), energy_source='modelled',
                full=FrameResult(other, 'full', 0.0, {}, [0.03], 0.03),
            )
        )  # fmt: skip
    return found


def info(count: int, dropped: int) -> RunInfo:
    return RunInfo(
        source='s', model='m', task='detect', class_names=['person'], exits=['track', 'full'],
        controller='e4', runtime='test', frames_received=count + dropped, frames_dropped=dropped,
        board='b', baseline_energy_j=0.5,
    )  # fmt: skip


def test_merged_bags_are_what_one_run_over_all_frames_would_be(tmp_path):
    parts = {'a': (records(1, 7), 2), 'b': (records(2, 30), 0)}
    for name, (found, dropped) in parts.items():
        write_outputs(found, info(len(found), dropped), tmp_path / name)
        told = {'problems': ['one frame was torn'], 'host': 'h', 'seconds': 1.5, 'cpu_seconds': 1}
        (tmp_path / name / 'made_from.json').write_text(json.dumps(told))
    rows = [with_summary(BagRow(name=name, source=name, status='done'), tmp_path) for name in parts]
    rows.append(BagRow(name='c', source='c.bag', status='failed', reason='<it is torn>'))
    merged = merge(rows, tmp_path, 'here')

    both = [*parts['a'][0], *parts['b'][0]]
    renumbered = [
        FrameRecord(**{name: getattr(r, name) for name in r.__slots__} | {'frame': i})
        for i, r in enumerate(both)
    ]
    whole = summarise(renumbered, info(len(both), 2))
    assert (merged.frames_received, merged.frames_processed, merged.frames_dropped) == (39, 37, 2)
    assert merged.exits == whole.exits
    assert merged.latency_ms.mean == pytest.approx(whole.latency_ms.mean, rel=1e-4)
    assert merged.latency_ms.p95 == pytest.approx(whole.latency_ms.p95, rel=1e-4)
    assert merged.full_latency_ms.mean == pytest.approx(whole.full_latency_ms.mean)
    assert merged.speedup_vs_full == pytest.approx(whole.speedup_vs_full, rel=1e-4)
    assert 0 < merged.f1_vs_full < 1
    assert merged.f1_vs_full == pytest.approx(whole.f1_vs_full)
    assert merged.agreement == whole.agreement.boxes
    assert merged.energy_j_per_frame == pytest.approx(whole.energy_j_per_frame, rel=1e-5)
    assert merged.baseline_energy_j_per_frame == whole.baseline_energy_j_per_frame

    write_page(merged, tmp_path / 'report.html')
    page = (tmp_path / 'report.html').read_text()
    assert 'c.bag: &lt;it is torn&gt;' in page
    assert 'one frame was torn' in page
    assert 'href="b/report.html"' in page


def test_nothing_done_is_a_summary_of_nothing(tmp_path):
    merged = merge([BagRow(name='c', source='c', status='left')], tmp_path, 'here')
    assert merged.frames_processed == 0
    assert merged.latency_ms is None
    write_page(merged, tmp_path / 'report.html')
    assert 'not run yet' in (tmp_path / 'report.html').read_text()
