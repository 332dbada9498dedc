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

from e4_ros.perception.camera_names import check_camera_names


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
