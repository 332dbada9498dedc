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

"""Which message belongs to an image."""

from __future__ import annotations

from e4_ros.perception.obstacles import Stamped

MS = 10**6


def test_the_nearest_in_time_belongs_to_the_image_if_it_is_near_enough():
    depths: Stamped[str] = Stamped(3)
    assert depths.nearest(0, MS) is None
    assert depths.newest_ns is None
    for stamp in (0, 33, 66):
        depths.add(stamp * MS, f'at {stamp}')
    assert depths.nearest(40 * MS, 10 * MS) == (33 * MS, 'at 33')
    assert depths.nearest(50 * MS, 10 * MS) is None


def test_only_the_last_few_are_kept_and_a_jump_back_empties_it():
    depths: Stamped[str] = Stamped(2)
    for stamp in (5000, 5033, 5066):
        depths.add(stamp * MS, f'at {stamp}')
    assert depths.nearest(5000 * MS, 10 * MS) is None
    depths.add(5050 * MS, 'late')
    assert depths.newest_ns == 5066 * MS
    depths.add(10 * MS, 'again')
    assert depths.newest_ns == 10 * MS
    depths.clear()
    assert depths.newest_ns is None
