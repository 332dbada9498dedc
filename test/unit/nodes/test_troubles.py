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

"""What is wrong is said once, and so is its end."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')

from e4_ros.nodes import troubles
from e4_ros.nodes.troubles import Troubles


@pytest.fixture
def said():
    return []


@pytest.fixture
def watch(said):
    return Troubles(lambda text: said.append(f'warn {text}'), lambda text: said.append(text))


def test_a_trouble_is_said_once_and_its_end_once(watch, said):
    for index in range(3):
        watch.begin('tf', f'no tf {index}')
    assert watch.present == ['no tf 2']
    for _ in range(3):
        watch.end_all('again')
    assert said == ['warn no tf 0', 'tf: again']
    assert watch.present == []


def test_what_comes_and_goes_is_not_said_each_time(watch, said, monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(troubles.time, 'monotonic', lambda: now_s[0])
    for step in range(5):
        now_s[0] = step
        watch.begin('tf', 'no tf')
        watch.end_all('again')
    assert said == ['warn no tf', 'tf: again']
    now_s[0] = 20.0
    watch.begin('tf', 'no tf')
    assert said[2:] == ['warn no tf']


def test_troubles_of_several_kinds_stand_side_by_side(watch, said):
    watch.begin('tf', 'no tf')
    watch.begin('depth', 'no depth')
    assert watch.present == ['no tf', 'no depth']
    watch.end_all('again')
    watch.end_all('again')
    assert said[2:] == ['tf: again', 'depth: again']
