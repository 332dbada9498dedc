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

import numpy as np
import pytest

from e4_ros.energy.board_model import SegmentWork
from e4_ros.evaluation.exit_record import (
    MIN_FRAMES,
    SHIPPED,
    ExitRecordError,
    _at_most_half,
    about_exits,
    load_exits,
    record_exits,
    save_exits,
)
from e4_ros.evaluation.simulation.reproduction import Backbone, ExitTrace

WORKS = [SegmentWork('prepare', 0, 1e6, 8, 'cpu'), SegmentWork('stage0', 3e8, 7e7, 30)]
PATHS = {'temporal': [0], 'full': [0, 1]}
BACKBONE = Backbone(
    'net',
    WORKS,
    ExitTrace(PATHS, ('temporal', 'full') * 20, 0.9),
    ExitTrace({'full': [0, 1]}, ('full',) * 40, 1.0),
)


def test_a_record_comes_back_as_it_was(tmp_path):
    save_exits(tmp_path / 'exits.json', [BACKBONE])
    assert load_exits(tmp_path / 'exits.json') == [BACKBONE]


def changed(**entry) -> dict:
    record = json.loads(json.dumps({'paths': PATHS, 'exits': ['full'] * 40, 'agreement': 1}))
    return record | entry


@pytest.mark.parametrize(
    ('e4', 'says'),
    [
        (changed(exits=['full'] * (MIN_FRAMES - 1)), 'too few'),
        (changed(exits=['side_door'] * 40), 'without a path: side_door'),
        (changed(paths={'full': [1, 0]}), 'in order'),
        (changed(paths={'full': [0, 1, 2]}), 'in order'),
        (changed(paths={'full': []}), 'in order'),
        (changed(agreement='much'), 'much'),
        ({}, 'paths'),
    ],
)
def test_a_record_that_cannot_be_played_is_refused(tmp_path, e4, says):
    file = tmp_path / 'exits.json'
    save_exits(file, [BACKBONE])
    data = json.loads(file.read_text())
    data['backbones'][0]['e4'] = e4
    file.write_text(json.dumps(data))
    with pytest.raises(ExitRecordError, match=says):
        load_exits(file)


@pytest.mark.parametrize('text', ['', '[]', '{"rows": []}', '{"backbones": []}', 'exits'])
def test_a_file_that_is_no_record_is_refused(tmp_path, text):
    (tmp_path / 'exits.json').write_text(text)
    with pytest.raises(ExitRecordError):
        load_exits(tmp_path / 'exits.json')


def test_a_short_stream_is_refused_before_any_network_runs():
    frames = [(float(i), np.zeros((8, 8, 3), np.uint8)) for i in range(MIN_FRAMES - 1)]
    with pytest.raises(ExitRecordError, match='too few'):
        record_exits('no_such_model', frames)


def test_a_stream_without_anything_to_find_is_refused():
    frames = [(i / 10, np.full((60, 80, 3), 90, np.uint8)) for i in range(MIN_FRAMES)]
    with pytest.raises(ExitRecordError, match='finds nothing in these 20 frames'):
        record_exits('pedestrian_ssdlite', frames, lambda text: None)


@pytest.mark.parametrize('scores', [[0.1, 0.9, 0.5, 0.4], [0.0] * 9, [1.0] * 5 + [0.2] * 4, [0.3]])
def test_at_most_half_leave_at_the_middle_exit(scores):
    threshold = _at_most_half(scores)
    assert sum(score >= threshold for score in scores) <= len(scores) / 2


def test_the_record_that_ships_says_how_it_was_made():
    backbones = load_exits(SHIPPED)
    assert [backbone.name for backbone in backbones] == ['pedestrian_ssdlite', 'efficientnet_lite0']
    assert all(len(backbone.e4.exits) == 200 for backbone in backbones)
    assert '`e4 fit vtest --frames 300`' in about_exits(SHIPPED)


def test_a_record_without_a_word_goes_by_its_name(tmp_path):
    save_exits(tmp_path / 'exits.json', [BACKBONE])
    assert about_exits(tmp_path / 'exits.json') == str(tmp_path / 'exits.json')
