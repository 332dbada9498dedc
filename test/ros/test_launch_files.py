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

"""The launch files under the real `launch`, where it is installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

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


@pytest.mark.parametrize(
    ('name', 'arguments', 'says'),
    [
        ('replay', {'bag': '/no/such/bag', 'helper': 'false'}, 'there is no bag'),
        ('perception', {'model': 'nosuch', 'helper': 'false'}, "no model is called 'nosuch'"),
        ('demo', {'source': '/no/such/video', 'helper': 'false'}, 'does not exist'),
    ],
)
def test_a_node_that_fails_fails_the_launch(ros_env, tmp_path, name, arguments, says):
    program = (
        'import sys; from launch import LaunchService, LaunchDescription; '
        'from launch.actions import IncludeLaunchDescription; '
        'from launch.launch_description_sources import PythonLaunchDescriptionSource; '
        'service = LaunchService(); service.include_launch_description(LaunchDescription(['
        'IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), '
        'launch_arguments=[tuple(a.split(":=")) for a in sys.argv[2:]])])); '
        'sys.exit(service.run())'
    )
    path = paths.share_dir() / 'launch' / f'{name}.launch.py'
    words = [f'{key}:={text}' for key, text in arguments.items()]
    done = subprocess.run(
        [sys.executable, '-c', program, str(path), *words],
        env=ros_env, cwd=tmp_path, timeout=120, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert says in done.stdout + done.stderr
