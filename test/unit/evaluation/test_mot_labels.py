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

import numpy as np
import pytest

from e4_ros.evaluation.datasets.mot import class_of_labels, read_mot
from e4_ros.evaluation.metrics import FrameLabels, Labels, LabelsError
from e4_ros.vision.detections import Detections

GOOD = '2,7,10,20,30,40,1,-1,-1,-1\n2,8,50,20,30,40,0,-1,-1,-1\n\n4,7,12,20,30,40,1,-1,-1,-1\n'


def read(tmp_path, text):
    path = tmp_path / 'gt.txt'
    path.write_text(text)
    return read_mot(path)


def test_boxes_ids_and_ignore_regions_are_read(tmp_path):
    labels = read(tmp_path, GOOD)
    assert labels.span == range(1, 4)  # frame 2 of the file is frame 1 counted from 0
    assert labels.at(1).boxes.tolist() == [[10, 20, 40, 60], [50, 20, 80, 60]]
    assert labels.at(1).ids.tolist() == [7, 8]
    assert labels.at(1).counted.tolist() == [True, False]
    assert len(labels.at(2).boxes) == 0
    assert len(labels.at(99).boxes) == 0
    assert labels.births() == {7: 1}
    assert labels.notes == []


def test_files_as_windows_writes_them_are_read(tmp_path):
    (tmp_path / 'gt.txt').write_bytes(b'\xef\xbb\xbf1,3,0,0,5,5,0\r\n2,3,0,0,5,5,1\r\n')
    labels = read_mot(tmp_path / 'gt.txt')
    assert labels.at(0).counted.tolist() == [False]
    assert labels.at(1).counted.tolist() == [True]


def test_the_flag_may_be_missing_and_then_every_box_counts(tmp_path):
    assert read(tmp_path, '1, 3, 0, 0, 5, 5\n').at(0).counted.tolist() == [True]


@pytest.mark.parametrize(
    ('line', 'said'),
    [
        ('1 3 0 0 5 5 1', 'line 1: 1 values between commas, where 6 are needed'),
        ('1,3,0,0', 'line 1: 4 values between commas'),
        ('1,3,zero,0,5,5,1', 'line 1: "1,3,zero,0,5,5,1" is not all numbers'),
        ('1,3,0,,5,5,1', 'not all numbers'),
        ('1,3,nan,0,5,5,1', 'a value is not finite'),
        ('0,3,0,0,5,5,1', 'frame 0, but frames count 1, 2, 3'),
        ('1.5,3,0,0,5,5,1', r'frame 1\.5'),
        ('1732568400123,3,0,0,5,5,1', 'a time is no frame'),
        ('1,3,0,0,5e300,5,1', 'more than 1000000 pixels is in no picture'),
        ('1,-1,0,0,5,5,0.9', 'files of detections, which are no labels'),
        ('1,3,20,20,-5,5,1', 'a box of -5×5 pixels'),
        ('1,3,20,20,5,0,1', 'a box of 5×0 pixels'),
    ],
)
def test_a_bad_line_is_named_with_what_is_wrong(tmp_path, line, said):
    with pytest.raises(LabelsError, match=said):
        read(tmp_path, line + '\n')


def test_an_object_twice_in_a_frame_is_refused(tmp_path):
    with pytest.raises(LabelsError, match='line 3: object 3 is in frame 1 already, by line 1'):
        read(tmp_path, '1,3,0,0,5,5,1\n2,3,0,0,5,5,1\n1,3,9,9,5,5,1\n')


def test_files_without_labels_are_refused(tmp_path):
    with pytest.raises(LabelsError, match='holds no labels'):
        read(tmp_path, '\n\n')
    (tmp_path / 'video').write_bytes(b'\xff\xfe\x00\x80')
    with pytest.raises(LabelsError, match='is no text'):
        read_mot(tmp_path / 'video')
    with pytest.raises(OSError, match='nowhere'):
        read_mot(tmp_path / 'nowhere')


def test_ignore_regions_alone_are_said(tmp_path):
    (note,) = read(tmp_path, '1,3,0,0,5,5,0\n').notes
    assert 'every box is an ignore region' in note


def test_labels_of_another_video_are_refused_with_both_sizes(tmp_path):
    labels = read(tmp_path, GOOD)
    labels.check_fits((480, 640), 4)
    labels.check_fits((480, 640), None)
    with pytest.raises(LabelsError, match=r'up to frame 4, but the video has 3 frames'):
        labels.check_fits((480, 640), 3)
    with pytest.raises(LabelsError, match=r'3 of the 3 .* 24×64 pixels .*they reach to 80×60'):
        labels.check_fits((64, 24), 4)


def test_through_a_window_boxes_are_cut_and_halves_are_ignored():
    boxes = np.array([[10.0, 0, 20, 10], [0, 0, 9, 10], [0, 0, 5.1, 10], [50, 0, 60, 10]])
    labels = Labels('street', [FrameLabels.of(boxes, np.arange(4))] * 2)
    seen = labels.through_window([(0, 0), (5, 0)], (10, 50)).at(1)
    assert seen.boxes.tolist() == [[5, 0, 15, 10], [0, 0, 4, 10], [45, 0, 50, 10]]
    assert seen.counted.tolist() == [True, False, True]  # 4 of 9 pixels are less than half
    assert seen.ids.tolist() == [0, 1, 3]


def test_answers_may_be_labels():
    boxes = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    answer = Detections.of(boxes, np.array([0.9, 0.3]), np.array([2, 5]))
    labels = Labels.of_answers([answer, answer], 0.5, frames=[3, 5])
    assert labels.span == range(3, 6)
    assert labels.at(3).classes.tolist() == [2]
    assert len(labels.at(4).boxes) == 0
    assert labels.births() == {}  # nobody said which object is which
    assert Labels.of_answers([], 0.5).span == range(0)


@pytest.mark.parametrize(
    ('names', 'wanted', 'found'),
    [
        (['walker'], '', 0),
        (['car', 'person'], '', 1),
        (['car', 'Pedestrian'], '', 1),
        (['car', 'person'], 'Car', 0),
    ],
)
def test_labels_are_of_the_class_that_can_be_meant(names, wanted, found):
    assert class_of_labels(names, wanted) == found


def test_a_class_that_cannot_be_meant_is_told_with_the_choices():
    with pytest.raises(LabelsError, match=r'no class "dog"; its classes are car, bus'):
        class_of_labels(['car', 'bus'], 'dog')
    with pytest.raises(LabelsError, match=r'--labels-class, one of car, bus'):
        class_of_labels(['car', 'bus'])
