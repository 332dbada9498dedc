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

from itertools import chain

import numpy as np
import pytest
import torch

from e4_ros.vision.detections import Detections
from e4_ros.vision.training.resumable import WorkFile, answered_once, chosen_once


@pytest.fixture
def net():
    torch.manual_seed(0)
    return torch.nn.Linear(2, 2)


def test_what_was_kept_comes_back(tmp_path, net):
    WorkFile(tmp_path / 'deep' / 'x.pt', net=net).keep(7)
    other = torch.nn.Linear(2, 2)
    assert WorkFile(tmp_path / 'deep' / 'x.pt', net=other).resume() == 7
    assert torch.equal(other.weight, net.weight)
    assert [p.name for p in (tmp_path / 'deep').iterdir()] == ['x.pt']


@pytest.mark.parametrize('content', [b'', b'rubbish', b'PK\x03\x04'])
def test_damaged_file_begins_anew(tmp_path, net, content):
    before = net.weight.clone()
    (tmp_path / 'x.pt').write_bytes(content)
    assert WorkFile(tmp_path / 'x.pt', net=net).resume() == 0
    assert torch.equal(net.weight, before)


def test_without_a_path_nothing_is_kept(net):
    WorkFile(None, net=net).keep(3)
    assert WorkFile(None, net=net).resume() == 0


@pytest.mark.parametrize('content', ['', '{"a": 1}', '[1, 2]', 'no json'])
def test_choice_is_made_once_and_anew_where_its_file_is_damaged(tmp_path, content):
    file = tmp_path / 'work' / 'cuts.json'
    assert chosen_once(file, lambda: ['a', 'b']) == ['a', 'b']
    assert chosen_once(file, lambda: ['c', 'd']) == ['a', 'b']
    file.write_text(content)
    assert chosen_once(file, lambda: ['c', 'd']) == ['c', 'd']
    assert chosen_once(file, lambda: ['a', 'b']) == ['c', 'd']
    assert [path.name for path in file.parent.iterdir()] == ['cuts.json']


def answers():
    box = np.array([[1, 2, 3, 4], [5, 6, 7, 8.5]])
    several = Detections.of(box, np.array([0.25, 0.75]), np.array([3, 70]))
    return [[several, Detections.empty(), several], [Detections.empty()] * 3]


def never():
    raise AssertionError('asked again')


def test_answers_are_found_once(tmp_path):
    file = tmp_path / 'work' / 'answers.npz'
    found = answered_once(file, answers)
    kept = answered_once(file, never)
    assert [len(each) for each in kept] == [3, 3]
    for ours, theirs in zip(chain(*found), chain(*kept), strict=True):
        np.testing.assert_array_equal(ours.boxes, theirs.boxes)
        np.testing.assert_array_equal(ours.scores, theirs.scores)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        assert ours.labels.dtype == theirs.labels.dtype


@pytest.mark.parametrize('length', [0, 10, -10])
def test_answers_are_found_anew_where_their_file_is_cut(tmp_path, length):
    file = tmp_path / 'answers.npz'
    answered_once(file, answers)
    file.write_bytes(file.read_bytes()[:length])
    assert len(answered_once(file, answers)[0][0]) == 2
    assert len(answered_once(file, never)[0][0]) == 2


def test_without_a_file_answers_are_found_each_time():
    assert answered_once(None, answers)[0][0] is not answered_once(None, answers)[0][0]
