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

import copy

import pytest
import yaml

from e4_ros.energy.plan import FrequencyPlan, PlanError

PLAN = {
    'name': 'commute',
    'board': 'jetson_orin_nano',
    'model': 'pedestrian_ssdlite',
    'segments': ['prepare', 'stage1', 'stage2'],
    'devices': ['cpu', 'cuda', 'cuda'],
    'paths': {
        'temporal': {
            'segments': [0],
            'points': [{'cpu': 960_000_000, 'gpu': 306_000_000}],
            'expected_latency_s': 0.001,
            'expected_energy_j': 0.004,
        },
        'full': {
            'segments': [0, 2],
            'points': [
                {'cpu': 960_000_000, 'gpu': 306_000_000},
                {'cpu': 960_000_000, 'gpu': 612_000_000},
            ],
            'expected_latency_s': 0.02,
            'expected_energy_j': 0.1,
        },
    },
    'source': 'modelled',
}
TABLES = {'cpu': (480_000_000, 960_000_000), 'gpu': (306_000_000, 612_000_000)}


def changed(*path_and_value):
    *path, key, value = path_and_value
    plan = copy.deepcopy(PLAN)
    place = plan
    for step in path:
        place = place[step]
    place[key] = value
    return plan


def test_round_trip_through_a_file(tmp_path):
    plan = FrequencyPlan.model_validate(PLAN)
    plan.save(tmp_path / 'plans' / 'commute.yaml')
    assert FrequencyPlan.load(tmp_path / 'plans' / 'commute.yaml') == plan
    assert [p.name for p in (tmp_path / 'plans').iterdir()] == ['commute.yaml']
    assert FrequencyPlan.from_json(plan.model_dump_json()) == plan


def test_what_a_step_needs():
    plan = FrequencyPlan.model_validate(PLAN)
    assert plan.exits == ('temporal', 'full')
    assert plan.domains == ('cpu', 'gpu')
    assert plan.point('full', 2) == {'cpu': 960_000_000, 'gpu': 612_000_000}
    assert plan.point('full', 1) is None


@pytest.mark.parametrize(
    ('plan', 'says'),
    [
        (changed('segments', []), 'segments'),
        (changed('segments', ['a', 'a', 'b']), 'repeat'),
        (changed('paths', {}), 'paths'),
        (changed('paths', 'full', 'segments', [0, 3]), 'names segment 3'),
        (changed('paths', 'full', 'segments', [-1, 2]), 'names segment'),
        (changed('paths', 'full', 'segments', [2, 0]), 'ascend'),
        (changed('paths', 'full', 'segments', [0]), 'one point a segment'),
        (changed('paths', 'full', 'points', 1, {'cpu': 960_000_000}), 'same domains'),
        (changed('paths', 'full', 'points', 1, 'cpu', 'fast'), 'points.1.cpu'),
        (changed('paths', 'full', 'points', 1, 'cpu', 9.6e8), 'points.1.cpu'),
        (changed('paths', 'full', 'points', 1, 'cpu', True), 'points.1.cpu'),
        (changed('paths', 'full', 'points', 1, 'cpu', -1), 'points.1.cpu'),
        (changed('paths', 'full', 'points', 1, {'../gpu': 1, 'cpu': 1}), 'points.1'),
        (changed('paths', 'full', 'expected_energy_j', float('nan')), 'expected_energy_j'),
        (changed('paths', 'full', 'expected_latency_s', -0.1), 'expected_latency_s'),
        (changed('source', 'guessed'), 'source'),
        (changed('governor', 'userspace'), 'governor'),
    ],
)
def test_nonsense_is_refused_with_its_place(tmp_path, plan, says):
    path = tmp_path / 'plan.yaml'
    path.write_text(yaml.safe_dump(plan, sort_keys=False))
    with pytest.raises(PlanError, match=says) as error:
        FrequencyPlan.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('', 'valid dictionary'),
        ('just words', 'valid dictionary'),
        ('name: [', 'not YAML'),
        ('a: &x [1]\nb: *x', 'aliases'),
        ('[' * 60_000 + ']' * 60_000, 'nested'),
        ('#' * 200_000, 'longer than'),
        ('!!python/object/apply:os.system ["true"]', 'not YAML'),
    ],
)
def test_hostile_text_is_refused(text, says):
    with pytest.raises(PlanError, match=says):
        FrequencyPlan.from_yaml(text)


def test_binary_file_is_refused(tmp_path):
    path = tmp_path / 'plan.yaml'
    path.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(PlanError, match='not text'):
        FrequencyPlan.load(path)


def test_plan_for_another_machine_or_model():
    plan = FrequencyPlan.model_validate(PLAN)
    plan.check_board('jetson_orin_nano')
    plan.check_model('pedestrian_ssdlite', ['prepare', 'stage1', 'stage2'])
    plan.check_domains(TABLES)
    with pytest.raises(PlanError, match='made for board'):
        plan.check_board('jetson_nano')
    with pytest.raises(PlanError, match='made for model'):
        plan.check_model('efficientnet', ['prepare', 'stage1', 'stage2'])
    with pytest.raises(PlanError, match='cut into prepare, stage1;'):
        plan.check_model('pedestrian_ssdlite', ['prepare', 'stage1'])


def test_plan_outside_the_tables():
    plan = FrequencyPlan.model_validate(PLAN)
    with pytest.raises(PlanError, match='unknown domain gpu; this board has cpu'):
        plan.check_domains({'cpu': TABLES['cpu']})
    with pytest.raises(PlanError, match='no frequency 612000000 Hz; the nearest is 600000000'):
        plan.check_domains({**TABLES, 'gpu': (306_000_000, 600_000_000)})
    with pytest.raises(PlanError, match='outside the allowed'):
        plan.check_domains(TABLES, {'gpu': (306_000_000, 408_000_000)})


def test_a_plan_for_another_device_is_refused_with_both_names():
    plan = FrequencyPlan.model_validate(PLAN)
    plan.check_devices(['cpu', 'cuda', 'cuda'])
    with pytest.raises(PlanError, match="made for 'cuda', but here the network runs on 'cpu'"):
        plan.check_devices(['cpu', 'cpu', 'cpu'])
    with pytest.raises(PlanError, match="stage1 on 'cuda', stage2 on 'cpu'"):
        plan.check_devices(['cpu', 'cuda', 'cpu'])


def test_a_plan_from_before_plans_named_their_devices_says_to_profile_again():
    old = {key: value for key, value in PLAN.items() if key != 'devices'}
    with pytest.raises(PlanError, match=r'older version .* profile again'):
        FrequencyPlan.from_yaml(yaml.safe_dump(old))


@pytest.mark.parametrize('devices', [['cpu'], ['cpu', 'cuda', 5], ['cpu', 'cuda', ''], 'cuda'])
def test_devices_that_are_none_are_refused(devices):
    with pytest.raises(PlanError):
        FrequencyPlan.from_yaml(yaml.safe_dump(PLAN | {'devices': devices}))
