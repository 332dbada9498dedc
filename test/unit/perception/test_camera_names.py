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

import pytest

from e4_ros.perception.camera_names import check_camera_names, models_of, service_levels_s


def test_names_that_can_be_parts_of_topics_are_taken():
    check_camera_names([])
    check_camera_names(['front', 'rear_left', 'cam2', 'B'])


@pytest.mark.parametrize('name', ['2nd', 'rear left', 'a/b', '/front', 'a__b', 'a_', '_a', 'é', ''])
def test_another_name_is_told_with_what_one_may_be(name):
    with pytest.raises(ValueError, match='cannot be a part of a topic: a name has letters'):
        check_camera_names(['front', name])


def test_a_name_that_comes_twice_is_told():
    with pytest.raises(ValueError, match='front is there twice'):
        check_camera_names(['front', 'rear', 'front'])


@pytest.mark.parametrize(
    ('given', 'found'),
    [
        ([], [0, 0]),
        (['50'], [0.05, 0.05]),
        (['50', '0'], [0.05, 0]),
        (['12.5', '1e2'], [0.0125, 0.1]),
    ],
)
def test_service_levels_stand_beside_the_cameras(given, found):
    assert service_levels_s(given, ['front', 'rear']) == pytest.approx(found)


@pytest.mark.parametrize('text', ['-1', 'soon', 'nan', 'inf'])
def test_a_service_level_that_is_none_is_told(text):
    with pytest.raises(ValueError, match=f'camera_slo_ms of rear is .{text}.: it takes millisec'):
        service_levels_s(['50', text], ['front', 'rear'])


def test_lists_of_other_lengths_are_told():
    with pytest.raises(ValueError, match=r'camera_slo_ms has 2 values for 3 cameras \(a, b, c\)'):
        service_levels_s(['1', '2'], ['a', 'b', 'c'])
    with pytest.raises(
        ValueError, match=r'camera_models has 2 values for 1 cameras \(one camera\)'
    ):
        models_of(['x', 'y'], 'net', [''])


def test_models_stand_beside_the_cameras():
    assert models_of([], 'net', ['a', 'b']) == ['net', 'net']
    assert models_of(['other'], 'net', ['a', 'b']) == ['other', 'other']
    assert models_of(['other', 'net'], 'net', ['a', 'b']) == ['other', 'net']
