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
from pathlib import Path

import numpy as np
import pytest

from e4_ros.evaluation.datasets.labelled import Dataset, DatasetError, LabelledClip
from e4_ros.evaluation.datasets.readers import open_dataset
from e4_ros.evaluation.report.video_writer import VideoWriter
from e4_ros.evaluation.sources.base import SourceError


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b'x')


def _names(clips: list[LabelledClip], root: Path) -> list[str]:
    return [str(clip.path.relative_to(root)) for clip in clips]


def test_folders_with_a_split(tmp_path):
    _touch(tmp_path, 'train/run/a.mp4', 'train/jump/b.avi', 'train/jump/notes.txt', 'val/run/c.mkv')
    data = open_dataset(tmp_path)
    assert data.class_names == ['jump', 'run']
    assert _names(data.train, tmp_path) == ['train/jump/b.avi', 'train/run/a.mp4']
    assert [clip.label for clip in data.val] == [1]


def test_folders_without_a_split_give_every_fifth_to_validation(tmp_path):
    _touch(tmp_path, *(f'{c}/{i}.mp4' for c in ('run', 'jump') for i in range(10)))
    data = open_dataset(tmp_path)
    assert _names(data.val, tmp_path) == ['jump/4.mp4', 'jump/9.mp4', 'run/4.mp4', 'run/9.mp4']
    assert len(data.train) == 16
    assert 'every 5th' in data.notes[0]


def test_kinetics(tmp_path):
    _touch(tmp_path, 'train/run fast/abc_000001_000011.mp4', 'val/jump/def.mp4', 'jump/x.mp4')
    header = 'label,youtube_id,time_start,time_end,split\n'
    (tmp_path / 'train.csv').write_text(
        f'{header}"run fast",abc,1,11,train\njump,x,0,10,train\njump,gone,0,10,train\n'
    )
    (tmp_path / 'val.csv').write_text(f'{header}jump,def,3,13,validate\n,secret,3,13,test\n')
    data = open_dataset(tmp_path)
    assert data.class_names == ['jump', 'run fast']
    assert [clip.label for clip in data.train] == [1, 0]
    assert [clip.label for clip in data.val] == [0]
    assert [path.name for path in data.missing] == ['gone_000000_000010']
    assert data.notes == ['1 of 4 listed videos are missing']


def test_kinetics_without_a_column(tmp_path):
    (tmp_path / 'a.csv').write_text('label,youtube_id\nrun,x\n')
    with pytest.raises(DatasetError, match="lacks the columns \\['split'\\]"):
        open_dataset(tmp_path)


def test_kinetics_with_a_broken_time(tmp_path):
    (tmp_path / 'a.csv').write_text(
        'label,youtube_id,time_start,time_end,split\nrun,x,soon,,train\n'
    )
    with pytest.raises(DatasetError, match=r'a\.csv, line 2: a time is no number'):
        open_dataset(tmp_path)


def _activitynet(**videos: tuple[str, list]) -> str:
    return json.dumps(
        {
            'database': {
                name: {
                    'subset': subset,
                    'annotations': [{'label': c, 'segment': s} for c, s in parts],
                }
                for name, (subset, parts) in videos.items()
            }
        }
    )


def test_activitynet_makes_a_clip_of_every_segment(tmp_path):
    _touch(tmp_path, 'v_one.mp4', 'two.webm')
    (tmp_path / 'activity_net.json').write_text(
        _activitynet(
            one=('training', [('run', [1.5, 4]), ('jump', [6, 9])]),
            two=('validation', [('run', [0, 2])]),
            three=('validation', [('run', [0, 2])]),
            four=('testing', []),
        )
    )
    data = open_dataset(tmp_path)
    assert [(c.label, c.start_s, c.end_s) for c in data.train] == [(1, 1.5, 4), (0, 6, 9)]
    assert [c.path.name for c in data.val] == ['two.webm']
    assert len(data.missing) == 1
    assert len({clip.key for clip in data.train}) == 2, 'segments of one video are kept apart'


def test_activitynet_that_is_something_else(tmp_path):
    (tmp_path / 'a.json').write_text('{"database": [1, 2]}')
    with pytest.raises(DatasetError, match='not in ActivityNet'):
        open_dataset(tmp_path)


def _ucf(root: Path, test: str = 'Jump/v_c.avi\n') -> None:
    _touch(root, 'Run/v_a.avi', 'Jump/v_b.avi', 'Jump/v_c.avi')
    _touch(root, 'ucfTrainTestlist/x')
    lists = root / 'ucfTrainTestlist'
    (lists / 'classInd.txt').write_text('1 Jump\n2 Run\n')
    (lists / 'trainlist01.txt').write_text('Run/v_a.avi 2\nJump/v_b.avi 1\n')
    (lists / 'testlist01.txt').write_text(test)


def test_ucf(tmp_path):
    _ucf(tmp_path)
    data = open_dataset(tmp_path)
    assert data.class_names == ['Jump', 'Run']
    assert [clip.label for clip in data.train] == [1, 0]
    assert _names(data.val, tmp_path) == ['Jump/v_c.avi']


def test_ucf_without_that_split(tmp_path):
    _ucf(tmp_path)
    with pytest.raises(DatasetError, match=r'trainlist03\.txt cannot be read'):
        open_dataset(tmp_path, split=3)


@pytest.mark.parametrize('line', ['Swim/v_d.avi', 'Jump/v_c.avi 2'])
def test_ucf_lists_that_do_not_match(tmp_path, line):
    _ucf(tmp_path, f'{line}\n')
    with pytest.raises(DatasetError, match=r'does not match classInd\.txt'):
        open_dataset(tmp_path)


def test_class_lists_that_do_not_match(tmp_path):
    _touch(tmp_path, 'train/run/a.mp4', 'train/jump/b.mp4', 'val/swim/c.mp4')
    with pytest.raises(DatasetError, match=r"validation has \['swim'\], which training does not"):
        open_dataset(tmp_path)


def test_an_empty_folder(tmp_path):
    with pytest.raises(DatasetError, match='has no training clips'):
        open_dataset(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(DatasetError, match='is not a folder'):
        open_dataset(tmp_path / 'nowhere')


def test_an_annotation_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match=r'there is no annotation .*gone\.csv'):
        open_dataset(tmp_path, [tmp_path / 'gone.csv'])


def test_all_listed_videos_missing(tmp_path):
    (tmp_path / 'a.csv').write_text('label,youtube_id,split\nrun,x,train\njump,y,train\n')
    with pytest.raises(DatasetError, match=r'no training clips .2 listed videos are missing'):
        open_dataset(tmp_path)


@pytest.fixture
def counting(tmp_path) -> Path:
    """Thirty frames at 10 a second; the grey level of frame i is 8i."""
    path = tmp_path / 'counting.mp4'
    with VideoWriter(path, 10, quality=1) as video:
        for i in range(30):
            video.write(np.full((32, 32, 3), 8 * i, np.uint8))
    return path


def _numbers(frames: np.ndarray) -> list[int]:
    return [round(float(frame.mean()) / 8) for frame in frames]


@pytest.mark.parametrize(
    ('clip', 'count', 'wanted'),
    [
        ((0.0, None), 3, [5, 15, 25]),
        ((0.0, None), 30, list(range(30))),
        ((1.0, 2.0), 5, [11, 13, 15, 17, 19]),
        ((2.0, None), 2, [22, 27]),
        ((0.0, 0.2), 4, [0, 0, 1, 1]),
    ],
)
def test_frames_are_spread_evenly_over_the_clip(counting, clip, count, wanted):
    frames = LabelledClip(counting, 0, *clip).frames(count)
    assert np.abs(np.subtract(_numbers(frames), wanted)).max() <= (0 if count == 30 else 1)


def test_a_segment_behind_the_end_shows_the_last_frame(counting):
    assert _numbers(LabelledClip(counting, 0, 5.0, 6.0).frames(2)) == [29, 29]


def test_a_file_that_is_no_video(tmp_path):
    _touch(tmp_path, 'a.mp4')
    with pytest.raises(SourceError, match='cannot be read as a video'):
        LabelledClip(tmp_path / 'a.mp4', 0).frames(3)


def test_the_length_of_clips(counting, tmp_path):
    assert LabelledClip(counting, 0).length_s() == pytest.approx(3, abs=0.11)
    assert LabelledClip(counting, 0, 1.0).length_s() == pytest.approx(2, abs=0.11)
    assert LabelledClip(counting, 0, 1.0, 1.5).length_s() == 0.5
    _touch(tmp_path, 'broken.mp4')
    broken = LabelledClip(tmp_path / 'broken.mp4', 0)
    ends = [LabelledClip(counting, 0, 0.0, end_s) for end_s in (1.0, 1.5, 9.0)]
    assert Dataset('set', ['a'], [broken, *ends], []).clip_length_s() == 1.5
    with pytest.raises(DatasetError, match='not one training clip of set has a length'):
        Dataset('set', ['a'], [broken], []).clip_length_s()
