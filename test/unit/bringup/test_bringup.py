from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

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
    assert all(argument.description.endswith('.') for argument in bringup.all_arguments)
    common = {'namespace', 'params_file', 'use_sim_time', 'autostart', 'use_respawn', 'log_level'}
    assert common <= set(names)


def test_every_node_exists_and_can_be_run(bringup):
    scripts = paths.share_dir() / 'scripts' / 'nodes'
    for spec in bringup.specs({'bag': 'x'} if bringup.name == 'replay' else {}):
        assert importlib.util.find_spec(f'e4_ros.nodes.{spec.executable}')
        assert f'e4_ros.nodes.{spec.executable} import' in (scripts / spec.executable).read_text()


def test_every_bringup_has_its_launch_file(bringup):
    text = (paths.share_dir() / 'launch' / f'{bringup.name}.launch.py').read_text()
    assert f"describe('{bringup.name}')" in text


def test_parameters_that_are_set_are_declared(bringup):
    """A misspelt parameter would be dropped by ROS without a word."""
    for spec in bringup.specs({'bag': 'x'} if bringup.name == 'replay' else {}):
        own = {name for name in spec.parameters if not name.startswith('qos_overrides.')}
        assert own <= _declared(spec.executable) | {'use_sim_time', 'autostart'}


def test_params_file_names_only_declared_parameters():
    nodes = yaml.safe_load((paths.config_dir() / 'params.yaml').read_text())
    for pattern, contents in nodes.items():
        declared = _declared(pattern.rpartition('/')[2])
        assert contents['ros__parameters'].keys() <= declared


def test_an_unknown_argument_and_a_bad_number_are_told():
    with pytest.raises(ValueError, match='demo has no argument sauce'):
        BRINGUPS['demo'].specs({'sauce': 'x'})
    with pytest.raises(ValueError, match="rate is a number, not 'fast'"):
        BRINGUPS['demo'].specs({'rate': 'fast'})


def test_values_reach_the_nodes_as_what_they_are():
    specs = BRINGUPS['perception'].specs(
        {'image': '/camera/image_raw', 'autostart': 'false', 'helper': 'false', 'policy': 'full'}
    )
    (perception,) = specs
    assert perception.parameters == {'use_sim_time': False, 'autostart': False, 'policy': 'full'}
    assert perception.remappings == {
        'image': '/camera/image_raw',
        'image/compressed': '/camera/image_raw/compressed',
    }


@pytest.mark.parametrize(
    ('image', 'namespace', 'topic'),
    [
        ('image', '', '/image'),
        ('image', '/robot/', '/robot/image'),
        ('front/image', 'robot', '/robot/front/image'),
        ('/camera/image_raw', 'robot', '/camera/image_raw'),
    ],
)
def test_reliability_goes_by_the_names_of_the_graph(image, namespace, topic):
    given = {'image': image, 'namespace': namespace, 'reliability': 'reliable', 'helper': 'false'}
    (perception,) = BRINGUPS['perception'].specs(given)
    overrides = {n: v for n, v in perception.parameters.items() if n.startswith('qos_overrides.')}
    assert overrides == {
        f'qos_overrides.{topic}.subscription.reliability': 'reliable',
        f'qos_overrides.{topic}/compressed.subscription.reliability': 'reliable',
    }


def test_the_helper_finds_a_served_board():
    daemon, _ = BRINGUPS['perception'].specs({'sysfs_root': '/tmp/orin'})
    assert daemon.parameters['sysfs_root'] == '/tmp/orin'


def _declared(node: str) -> set[str]:
    """First arguments of `ParameterSpec(...)` in a node's `PARAMETERS`, without importing ROS."""
    tree = _parsed(f'e4_ros.nodes.{node}')
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ImportFrom) and statement.names[0].name == 'PARAMETERS':
            tree = _parsed(statement.module)
    found = {
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, 'id', '') == 'ParameterSpec'
    }
    assert found
    return found


def _parsed(module: str) -> ast.Module:
    return ast.parse(Path(importlib.util.find_spec(module).origin).read_text())
