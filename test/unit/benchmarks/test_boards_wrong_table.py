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

"""Boards that are half and twice as fast as their files say."""

from __future__ import annotations

import pytest

from e4_ros.benchmarks.boards.wrong_table import AHEAD, first_in_time, play
from e4_ros.evaluation.exit_record import SHIPPED, load_exits


def test_frames_are_counted_until_lateness_stays_away() -> None:
    assert first_in_time([False] * 200) == 0
    assert first_in_time([True] * 10 + [False] * 200) == 9, 'one of a hundred may be late'
    again = [True] * 10 + [False] * 100 + [True] * 5 + [False] * 200
    assert first_in_time(again) == 114
    with pytest.raises(RuntimeError, match='late too often'):
        first_in_time([False] * 50 + [True] * AHEAD)


@pytest.mark.parametrize('truth', [0.5, 2.0])
def test_the_controller_is_in_time_again_and_knows_by_how_much_the_file_was_wrong(truth) -> None:
    network = load_exits(SHIPPED)[0]
    row = play('jetson_nano', network, truth, 0.0, given=True, exits=False)
    assert row['late_after'] < 0.02
    assert row['factor'] == pytest.approx(truth, rel=0.1)


def test_a_controller_that_is_told_nothing_stays_late() -> None:
    network = load_exits(SHIPPED)[0]
    row = play('jetson_nano', network, 2.0, 0.0, given=True, exits=False, blind=True)
    assert row['late_after'] > 0.5
