"""The launch files under the real `launch`, where it is installed."""

from __future__ import annotations

import importlib.util

import pytest

from e4_ros import paths
from e4_ros.bringup.bringups import BRINGUPS

pytestmark = pytest.mark.ros

pytest.importorskip('launch_ros', reason='no `launch` among the wheels; a ROS installation has it')


def load(name: str):
    path = paths.share_dir() / 'launch' / f'{name}.launch.py'
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


@pytest.mark.parametrize('name', sorted(BRINGUPS))
def test_arguments_are_described(name):
    from launch.actions import DeclareLaunchArgument

    declared = [e for e in load(name).entities if isinstance(e, DeclareLaunchArgument)]
    assert [e.name for e in declared] == [a.name for a in BRINGUPS[name].all_arguments]
    assert all('.' in e.description for e in declared)


@pytest.mark.parametrize('name', sorted(BRINGUPS))
def test_nodes_are_those_of_the_table(name):
    from e4_ros.bringup.launching import to_actions

    bringup = BRINGUPS[name]
    values = {a.name: a.default for a in bringup.all_arguments} | {'namespace': 'robot'}
    actions = to_actions(bringup, values)
    assert [a.node_executable for a in actions] == [s.executable for s in bringup.specs(values)]
    assert all(a.node_package == 'e4_ros' for a in actions)
