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

"""The plan that was set while perception ran, kept for its next start."""

from __future__ import annotations

import pytest

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.plan import PlanError
from e4_ros.nodes.kept_plan import KeptPlan
from e4_ros.profiling.planning import planner
from e4_ros.profiling.planning.identity import Identity

HERE = Identity('jetson_nano', 'nvpmodel:0:MAXN', 'abc')


@pytest.fixture
def file(tmp_path, monkeypatch) -> str:
    monkeypatch.setenv('E4_STATE', str(tmp_path / 'state'))
    works = [SegmentWork('prepare', 1e8, 8e6, 20, 'cpu'), SegmentWork('stage0', 3e8, 7e7, 30)]
    plan = planner.plan('jetson_nano', works, {'full': [0, 1]}, {'full': 1.0}, model='net')
    plan.save(tmp_path / 'plan.yaml')
    return str(tmp_path / 'plan.yaml')


def test_a_plan_outlives_the_process_and_its_own_file(file, tmp_path):
    KeptPlan('/robot/perception').keep(file, HERE)
    (tmp_path / 'plan.yaml').unlink()
    kept = KeptPlan('/robot/perception')
    assert kept.file.startswith(str(tmp_path / 'state'))
    assert kept.differs(HERE) == ''
    assert KeptPlan('/other').file == ''


@pytest.mark.parametrize(
    ('here', 'says'),
    [
        (Identity('jetson_nano', 'nvpmodel:1:5W', 'abc'), 'in power mode nvpmodel:1:5W now'),
        (Identity('jetson_nano', 'nvpmodel:0:MAXN', 'def'), 'those here are def'),
        (Identity('jetson_tx2', 'nvpmodel:0:MAXN', 'abc'), 'this is jetson_tx2'),
    ],
)
def test_it_says_what_it_was_set_for_where_that_is_another(file, here, says):
    kept = KeptPlan('/perception')
    kept.keep(file, HERE)
    assert says in kept.differs(here)
    kept.keep(kept.file, here)  # what is kept already stays as it is
    assert says in kept.differs(here)


@pytest.mark.parametrize('text', ['', '{', '[]', '{"colour": "red"}'])
def test_one_that_nobody_knows_anything_about_is_not_refused_for_it(file, text):
    kept = KeptPlan('/perception')
    kept.keep(file)
    assert kept.differs(HERE) == ''
    kept.path.with_suffix('.json').write_text(text)
    assert kept.differs(HERE) == ''


def test_an_empty_name_forgets_it_and_a_broken_file_is_refused(file, tmp_path):
    kept = KeptPlan('/perception')
    kept.keep(file, HERE)
    (tmp_path / 'bad.yaml').write_text('hello: [')
    with pytest.raises(PlanError):
        kept.keep(str(tmp_path / 'bad.yaml'), HERE)
    assert kept.differs(Identity('pc')) != '', 'what was kept before stays'
    kept.keep('')
    assert kept.file == ''
    assert list(kept.path.parent.iterdir()) == []
