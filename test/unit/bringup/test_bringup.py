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

import importlib
import importlib.util
import re

import pytest
import yaml

from e4_ros import paths
from e4_ros.bringup.bringups import BRINGUPS


@pytest.fixture(params=sorted(BRINGUPS))
def bringup(request):
    return BRINGUPS[request.param]


def test_every_argument_is_described_and_named_once(bringup):
    names = [argument.name for argument in bringup.all_arguments]
    assert len(names) == len(set(names))
    assert all(argument.description.endswith(('.', ')')) for argument in bringup.all_arguments)
    common = {'namespace', 'params_file', 'use_sim_time', 'autostart', 'use_respawn', 'log_level'}
    assert common <= set(names)


def test_every_node_exists_and_can_be_run(bringup):
    scripts = paths.share_dir() / 'scripts' / 'nodes'
    for spec in bringup.specs({'bag': 'x'} if bringup.name == 'replay' else {}):
        assert importlib.util.find_spec(f'e4_ros.nodes.{spec.executable}')
        assert f"main('{spec.executable}')" in (scripts / spec.executable).read_text()


def test_every_bringup_has_its_launch_file(bringup):
    text = (paths.share_dir() / 'launch' / f'{bringup.name}.launch.py').read_text()
    assert f"describe('{bringup.name}')" in text


def test_parameters_that_are_set_are_declared(bringup):
    """A misspelt parameter would be dropped by ROS without a word."""
    for spec in bringup.specs({'bag': 'x'} if bringup.name == 'replay' else {}):
        own = {name for name in spec.parameters if not name.startswith('qos_overrides.')}
        assert own <= _declared(spec.executable) | {'use_sim_time'}


def test_params_file_names_only_declared_parameters():
    nodes = yaml.safe_load((paths.config_dir() / 'params.yaml').read_text())
    for pattern, contents in nodes.items():
        declared = _declared(pattern.rpartition('/')[2])
        assert contents['ros__parameters'].keys() <= declared


def test_an_unknown_argument_and_a_bad_number_are_told():
    with pytest.raises(ValueError, match='demo has no argument sauce'):
        BRINGUPS['demo'].specs({'sauce': 'x'})
    with pytest.raises(ValueError, match='rate takes a number'):
        BRINGUPS['demo'].specs({'rate': 'fast'})


def test_values_reach_the_nodes_as_what_they_are():
    specs = BRINGUPS['perception'].specs(
        {
            'image': '/camera/image_raw',
            'autostart': 'false',
            'helper': 'false',
            'controller': 'fixed:cpu=1.2GHz',
        }
    )
    (perception,) = specs
    assert perception.parameters == {
        'use_sim_time': False,
        'autostart': False,
        'controller': 'fixed:cpu=1.2GHz',
        'helper_wait_s': 0.0,
    }
    assert perception.remappings == {
        'image': '/camera/image_raw',
        'image/compressed': '/camera/image_raw/compressed',
    }


@pytest.mark.parametrize(
    ('image', 'remapped'),
    [
        ('image', {}),
        (
            'image_raw',
            {'front/image': 'front/image_raw', 'rear/image': 'rear/image_raw'},
        ),
        (
            '/{camera}_cam/image_raw',
            {'front/image': '/front_cam/image_raw', 'rear/image': '/rear_cam/image_raw'},
        ),
    ],
)
def test_each_of_several_cameras_has_its_topics(image, remapped):
    given = {
        'image': image,
        'cameras': '[front, rear]',
        'namespace': 'bot',
        'helper': 'false',
    }
    (perception,) = BRINGUPS['perception'].specs(given)
    assert perception.parameters['cameras'] == ['front', 'rear']
    compressed = {f'{k}/compressed': f'{v}/compressed' for k, v in remapped.items()}
    assert perception.remappings == remapped | compressed


def test_one_topic_is_not_for_several_cameras():
    with pytest.raises(ValueError, match='is one topic, and cameras names 2'):
        BRINGUPS['perception'].specs({'image': '/image', 'cameras': '[front, rear]'})


def test_the_helper_finds_a_served_board():
    daemon, _ = BRINGUPS['perception'].specs({'sysfs_root': '/tmp/orin'})
    assert daemon.parameters['sysfs_root'] == '/tmp/orin'


def _declared(node: str) -> set[str]:
    module = importlib.import_module(f'e4_ros.bringup.node_parameters.{node}')
    return {spec.name for spec in module.PARAMETERS}


# -- arguments from parameters -------------------------------------------------------------------

TABLES = {
    path.stem: importlib.import_module(f'e4_ros.bringup.node_parameters.{path.stem}').PARAMETERS
    for path in sorted((paths.share_dir() / 'e4_ros' / 'bringup' / 'node_parameters').glob('*.py'))
    if path.stem not in ('__init__', 'common')
}
SAMPLES = {bool: ('true', True), int: ('4', 4), float: ('1', 1.0), str: ('5', '5')}


def _sample(spec) -> tuple[str, object]:
    """A text for a parameter, and what the node must get."""
    if isinstance(spec.default, list) and isinstance(spec.default[0], float):
        return '[5, 0.5, 1e-1]', [5.0, 0.5, 0.1]
    if isinstance(spec.default, list):
        return '[5, b]', ['5', 'b']
    if spec.choices:
        return spec.choices[-1], spec.choices[-1]
    if spec.low is not None:
        return f'{spec.high:.0f}', type(spec.default)(spec.high)
    return SAMPLES[type(spec.default)]


def test_every_node_is_started_by_a_bringup():
    assert {entry.executable for b in BRINGUPS.values() for entry in b.nodes} == set(TABLES)


@pytest.mark.parametrize(
    ('bringup', 'entry', 'spec'),
    [
        pytest.param(b, entry, spec, id=f'{b.name}-{entry.executable}-{spec.name}')
        for b in BRINGUPS.values()
        for entry in b.nodes
        for spec in TABLES[entry.executable]
        if spec.name not in entry.sets
    ],
)
def test_every_parameter_of_every_node_is_an_argument_of_its_type(bringup, entry, spec):
    own = [
        argument.name
        for argument in bringup.all_arguments
        if (argument.group, argument.spec) == (entry.executable, spec)
    ]
    name = own[0] if own else spec.name
    text, value = _sample(spec)
    parameters = _parameters(bringup, entry.executable, **{name: text})
    assert parameters[spec.name] == value
    assert type(parameters[spec.name]) is type(spec.default)


def test_what_is_not_given_is_left_to_the_params_file():
    (_, perception) = BRINGUPS['perception'].specs({})
    assert perception.parameters == {
        'use_sim_time': False,
        'autostart': True,
        'helper_wait_s': 10.0,  # the daemon starts beside it
    }


@pytest.mark.parametrize(
    ('bringup', 'values', 'says'),
    [
        ('perception', {'threads': 'four'}, "threads takes a whole number (integer), not 'four'"),
        ('perception', {'threads': '1.5'}, 'threads takes a whole number (integer), not 1.5'),
        ('perception', {'threads': '-1'}, 'threads is from 0 to 256, not -1'),
        ('perception', {'min_score': 'nan'}, 'min_score is from 0.0 to 1.0, not nan'),
        ('perception', {'precision': 'int3'}, 'precision is one of fp32'),
        ('perception', {'plan_domains': 'cpu'}, 'plan_domains takes a list of texts'),
        ('perception', {'replan': 'maybe'}, 'replan takes true or false (bool)'),
        ('perception', {'helper': 'dvfs_helper'}, 'helper takes true or false (bool)'),
        (
            'perception',
            {'reliability': 'good'},
            'reliability is one of auto, reliable, best_effort',
        ),
        ('replay', {'speed': '0'}, 'speed is from 0.01 to 100.0, not 0.0'),
        ('demo', {'output': 'x'}, 'demo has no argument output'),
    ],
)
def test_a_wrong_value_is_refused_before_anything_starts(bringup, values, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        BRINGUPS[bringup].specs(values)


def test_a_name_that_is_taken_gets_the_node_in_front():
    parameters = _parameters(BRINGUPS['perception'], 'perception', perception_helper='/other')
    assert parameters['helper'] == '/other'


def test_an_empty_text_can_be_given_and_small_numbers_need_no_dot():
    perception = BRINGUPS['perception']
    assert _parameters(perception, 'perception', plan_file="''")['plan_file'] == ''
    assert _parameters(perception, 'perception', replan_gain='1e-3')['replan_gain'] == 0.001
    assert _parameters(perception, 'dvfs_helper', limits='[]')['limits'] == ['']


def test_switches_are_read_as_yaml_reads_them():
    (only,) = BRINGUPS['perception'].specs({'helper': 'False', 'autostart': 'off'})
    assert only.parameters['autostart'] is False


def _parameters(bringup, node: str, **values: str) -> dict:
    (parameters,) = (s.parameters for s in bringup.specs(values) if s.executable == node)
    return dict(parameters)
