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

from __future__ import annotations

import json
import math
import re
import resource
from dataclasses import replace

import av
import numpy as np
import pytest

from e4_ros.evaluation.metrics import FrameLabels, Labels
from e4_ros.evaluation.report.run_outputs import choose_samples, write_outputs
from e4_ros.evaluation.report.video_writer import VideoWriter
from e4_ros.files import replacing
from e4_ros.perception.annotate import Annotator
from e4_ros.perception.palette import exit_colors, hertz, joules, rgb, track_color
from e4_ros.vision.detections import Detections


def decoded(path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]


@pytest.fixture
def outputs(records, info, frames, tmp_path):
    return write_outputs(records, info(records), tmp_path / 'new' / 'run', frames(12))


def test_all_files_are_there(outputs):
    assert outputs.summary_json.is_file()
    assert len(outputs.detections_jsonl.read_text().splitlines()) == 12
    assert len(decoded(outputs.annotated)) == 12
    assert outputs.report_html.stat().st_size > 3_000_000  # plotly is in it


def test_a_line_says_what_the_format_promises(outputs):
    line = json.loads(outputs.detections_jsonl.read_text().splitlines()[2])
    assert line == {
        'frame': 2,
        'stamp': 0.2,
        'exit': 'exit1',
        'detections': [{'class': 'person', 'score': 0.9, 'box': [4.0, 4.0, 20.0, 40.0]}],
        'latency_ms': 4.0,
        'energy_j': 0.01,
        'energy_source': 'modelled',
    }
    assert list(line) == [
        'frame', 'stamp', 'exit', 'detections', 'latency_ms', 'energy_j', 'energy_source',
    ]  # fmt: skip


def test_a_line_has_the_id_and_the_velocity_of_a_track(record, info, tmp_path):
    tracked = replace(
        Detections.of(np.array([[0, 0, 9, 9]]), np.array([0.9])),
        ids=np.array([12]),
        velocities=np.array([[3.14159, -2]], np.float32),
    )
    records = [record(0, 'full', tracked)]
    outputs = write_outputs(records, info(records), tmp_path)
    (found,) = json.loads(outputs.detections_jsonl.read_text())['detections']
    assert found['id'] == 12
    assert found['velocity'] == [3.1, -2.0]


def test_weak_detections_stay_out_of_the_lines(record, info, tmp_path):
    detections = Detections.of(np.array([[0, 0, 9, 9], [20, 0, 29, 9]]), np.array([0.2, 0.19]))
    records = [record(0, 'full', detections)]
    outputs = write_outputs(records, info(records), tmp_path, min_score=0.2)
    line = json.loads(outputs.detections_jsonl.read_text())
    assert [d['score'] for d in line['detections']] == [0.2]


def test_unknown_joules_are_null(record, info, tmp_path):
    records = [replace(record(0, 'full'), energy_j=math.nan, energy_source='none')]
    outputs = write_outputs(records, info(records), tmp_path)
    line = json.loads(outputs.detections_jsonl.read_text(), parse_constant=pytest.fail)
    assert line['energy_j'] is None


def test_without_frames_there_is_no_video(records, info, tmp_path):
    outputs = write_outputs(records, info(records), tmp_path)
    assert outputs.annotated is None
    assert not (tmp_path / 'annotated.mp4').exists()


def test_frames_that_were_not_processed_are_not_drawn(record, info, frames, tmp_path):
    records = [record(1, 'full'), record(4, 'temporal')]
    outputs = write_outputs(records, info(records), tmp_path, frames(9))
    pictures = decoded(outputs.annotated)
    assert len(pictures) == 2
    assert pictures[0][:20, :100].mean() == pytest.approx(10, abs=4)
    assert pictures[1][:20, :100].mean() == pytest.approx(40, abs=4)


def test_a_size_that_changes_mid_stream_keeps_one_video(records, info, frames, tmp_path):
    changing = frames(12)
    changing[5:] = [(stamp, np.zeros((90, 51, 3), np.uint8)) for stamp, _ in changing[5:]]
    outputs = write_outputs(records, info(records), tmp_path, changing)
    assert len({picture.shape for picture in decoded(outputs.annotated)}) == 1


def test_progress_counts_drawn_frames(records, info, frames, tmp_path):
    seen: list[int] = []
    write_outputs(records, info(records), tmp_path, frames(12), progress=seen.append)
    assert seen == list(range(1, 13))


def test_samples_show_every_exit_and_the_busiest_frames(records, record):
    crowd = Detections.of(np.array([[0, 0, 9, 9]] * 3), np.full(3, 0.9))
    records[7] = record(7, 'temporal', crowd)
    chosen = choose_samples(records)
    assert {records[i].result.exit for i in chosen} == {'temporal', 'exit1', 'full'}
    assert 7 in chosen
    assert len(chosen) <= 6


def test_the_page_needs_nothing_from_elsewhere(outputs):
    page = outputs.report_html.read_text()
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="(?!data:)', page)
    assert page.count('<figure>') == 6
    assert '2.50×' in page
    assert 'modelled' in page


def test_the_page_is_safe_from_names(records, info, tmp_path):
    evil = info(records, source='<script>alert(1)</script>', problems=['a < b & c'])
    page = write_outputs(records, evil, tmp_path).report_html.read_text()
    assert '<script>alert(1)' not in page
    assert 'a &lt; b &amp; c' in page


def test_the_page_without_comparison_and_joules_promises_neither(records, info, tmp_path):
    bare = [
        replace(r, full=None, points=(), energy_j=math.nan, energy_source='none') for r in records
    ]
    plain = info(bare, board='', baseline_energy_j=math.nan)
    page = write_outputs(bare, plain, tmp_path).report_html.read_text()
    assert 'of the full network' not in page.partition('<section')[0]
    assert 'Energy a frame' not in page


def test_the_page_says_that_agreement_is_no_verdict(outputs):
    page = outputs.report_html.read_text()
    assert 'agreement with it <b>1.000</b>' in page
    assert 'not which are better' in page
    assert 'the F1 of 12 published boxes (score at least 0.2) and the full network’s 12' in page
    assert 'Judged by labels' not in page


def test_the_page_shows_what_labels_say(records, info, tmp_path):
    there, elsewhere = np.array([[4, 4, 20, 40]]), np.array([[40, 4, 60, 40]])
    frames = [FrameLabels.of(np.vstack([there, elsewhere]), np.array([1, 2]))] * 12
    labels = Labels('<b>gt.txt', frames)
    page = write_outputs(records, info(records), tmp_path, labels=labels).report_html.read_text()
    assert '<b>0.667</b> F1 by labels, where it has 0.667' in page
    assert 'Judged by labels: &lt;b&gt;gt.txt, 12 frames' in page
    assert '<td>recall</td><td>0.500</td><td>0.500</td>' in page
    assert '<td>0.0 frames <small>1 reported, 1 never</small></td>' in page
    assert '<td>id switches</td><td>n/a</td>' in page
    assert '"by_labels"' in page


def test_boxes_are_drawn_where_they_are_in_the_colour_of_the_exit(record):
    frame = np.zeros((240, 320, 3), np.uint8)
    detections = Detections.of(np.array([[80, 90, 160, 200]]), np.array([0.9]))
    picture = Annotator(['temporal', 'full'], ['person']).draw(frame, record(0, 'full', detections))
    color = np.array(rgb(exit_colors(['temporal', 'full'])['full']))
    for x, y in ((81, 150), (159, 150), (120, 199)):
        assert np.abs(picture[y, x].astype(int) - color).max() < 10, (x, y)
    assert (picture[20, 20] == 0).all()
    assert (picture[:240, :320] == 0).mean() > 0.8
    assert frame.max() == 0, 'the frame itself is left alone'


def tracked(boxes, ids, velocities=None):
    plain = Detections.of(np.array(boxes), np.linspace(0.9, 0.5, len(ids)))
    if velocities is None:
        velocities = np.zeros((len(ids), 2))
    return replace(plain, ids=np.array(ids), velocities=np.array(velocities, np.float32))


def test_a_track_keeps_a_colour_of_its_own_whatever_exit_answers(record):
    frame = np.zeros((240, 320, 3), np.uint8)
    annotator = Annotator(['track', 'temporal', 'full'], ['person'])
    for exit_name, x in (('full', 80), ('temporal', 100)):
        answer = tracked([[x, 90, x + 60, 200], [220, 90, 280, 200]], [7, 8])
        picture = annotator.draw(frame, record(0, exit_name, answer))
        for name, column in ((7, x + 1), (8, 221)):
            color = np.array(rgb(track_color(name)))
            assert np.abs(picture[150, column].astype(int) - color).max() < 10
    apart = [
        np.abs(np.subtract(rgb(track_color(a)), rgb(track_color(a + b)))).sum()
        for a in range(1, 60)
        for b in (1, 2, 3)
    ]
    assert min(apart) > 60


def test_an_arrow_leads_to_where_a_track_will_be_and_none_from_what_stands_still(record):
    frame = np.zeros((240, 320, 3), np.uint8)
    boxes = [[40, 60, 80, 120]]

    def drawn(velocity):
        answer = tracked(boxes, [7], [velocity])
        picture = Annotator(['full'], ['person']).draw(frame, record(0, 'full', answer))
        return picture[:240].any(-1)

    still = drawn([0, 0])
    assert not still[122:, :].any()
    assert not (drawn([1, 1]) & ~still).any()
    assert not (drawn([np.nan, np.nan]) & ~still).any()
    right = drawn([30, 0]) & ~still
    ys, xs = np.nonzero(right)
    assert 85 <= xs.max() <= 92, 'a second ahead of the feet, at 60'
    assert abs(ys.mean() - 120) < 3
    assert np.nonzero(drawn([0, 500]) & ~still)[0].max() < 175, 'a long arrow is cut'


def test_classes_are_named_on_boxes_where_there_are_several(record):
    frame = np.zeros((240, 320, 3), np.uint8)
    answer = tracked([[80, 90, 160, 200]], [7])
    widths = []
    for names in (['person'], ['person', 'bicycle']):
        picture = Annotator(['full'], names).draw(frame, record(0, 'full', answer))
        widths.append(np.count_nonzero(picture[84, :320].any(-1)))
    assert widths[1] > 1.4 * widths[0]


def test_the_video_shows_what_the_detections_file_has(record, info, tmp_path):
    weak = Detections.of(np.array([[80, 90, 160, 200]]), np.array([0.3]))
    frames = [(0.0, np.zeros((240, 320, 3), np.uint8))]
    drawn = {}
    for least in (0.2, 0.5):
        records = [record(0, 'full', weak)]
        outputs = write_outputs(
            records, info(records), tmp_path / str(least), frames, fps=10, min_score=least
        )
        line = json.loads(outputs.detections_jsonl.read_text())
        with av.open(str(outputs.annotated)) as video:
            picture = next(video.decode(video=0)).to_ndarray(format='rgb24')
        drawn[len(line['detections'])] = picture[100:400, 200:500].max()
    assert drawn[1] > 100 > drawn[0]


def test_boxes_below_the_score_and_outside_the_picture_are_not_drawn(record):
    frame = np.zeros((240, 320, 3), np.uint8)
    annotator = Annotator(['full'], ['person'], min_score=0.5)
    boxes = np.array([[10, 10, 90, 90], [400, 300, 500, 400], [-50, -50, -10, -10]])
    picture = annotator.draw(
        frame, record(0, 'full', Detections.of(boxes, np.array([0.4, 0.9, 0.9])))
    )
    assert picture[:240].max() == 0


@pytest.mark.parametrize('shape', [(1, 1), (7, 9), (33, 1001), (480, 640)])
def test_pictures_have_even_sides(record, shape):
    frame = np.zeros((*shape, 3), np.uint8)
    if min(shape) < 2:
        shape = (2, 2)
    picture = Annotator(['full'], ['person'], width=320).draw(frame, record(0, 'full'))
    assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0


def test_a_class_is_named(record):
    frame = np.zeros((240, 320, 3), np.uint8)
    cat = record(0, 'full', Detections.of_class(0, 0.8, frame.shape))
    tagged = Annotator(['full'], ['cat'], task='classify').draw(frame, cat)
    assert tagged[:60, :160].max() > 150
    assert tagged[120:240].max() == 0


def test_a_video_without_frames_is_no_error(tmp_path):
    with VideoWriter(tmp_path / 'empty.mp4', 10) as video:
        assert video.frames == 0


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (hertz(1_510_400_000), '1.51 GHz'),
        (hertz(624_750_000), '625 MHz'),
        (joules(0.0214), '21.4 mJ'),
        (joules(1.2), '1.20 J'),
        (joules(math.nan), '–'),
    ],
)
def test_quantities_read_well(text, expected):
    assert text == expected


def test_a_full_disk_leaves_the_files_of_the_run_before(records, info, frames, outputs, tmp_path):
    folder = tmp_path / 'new' / 'run'
    before = {path: path.read_bytes() for path in folder.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match='large') as caught:
            write_outputs(records, info(records), folder, frames(12))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(folder / 'summary.json')
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_video_that_does_not_fit_on_the_disk_names_its_file(frames, tmp_path):
    path = tmp_path / 'annotated.mp4'

    def write() -> None:
        with replacing(path) as scratch, VideoWriter(scratch, 10) as video:
            for _, frame in frames(12):
                video.write(frame)

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match='large') as caught:
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_who_interrupts_the_drawing_gets_the_page_and_what_was_drawn(
    records, info, frames, tmp_path
):
    def interrupt(drawn: int) -> None:
        if drawn == 5:
            raise KeyboardInterrupt

    outputs = write_outputs(records, info(records), tmp_path, frames(12), progress=interrupt)
    assert len(decoded(tmp_path / 'annotated.mp4')) == 5
    assert outputs.report_html.is_file()
