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

"""The files for Nav2, RViz and Foxglove name topics that the nodes publish."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from e4_ros import paths

FOLDER = paths.config_dir() / 'navigation'
NODES = Path(__file__).parents[3] / 'e4_ros' / 'nodes'


def published() -> set[str]:
    """Topics of perception and obstacles, without a namespace."""
    found = set()
    for node, file in (('perception', 'outputs'), ('obstacles', 'obstacle_outputs')):
        text = (NODES / f'{file}.py').read_text()
        found |= {f'/{node}/{name}' for name in re.findall(r"'~/([a-z_0-9/]+)'", text)}
    return found


def named(text: str) -> set[str]:
    return set(re.findall(r'/(?:perception|obstacles)/[a-z_0-9]+', text))


def test_every_topic_that_they_name_is_published():
    for path in FOLDER.iterdir():
        topics = named(path.read_text())
        assert topics, path.name
        assert topics <= published(), path.name


def test_they_can_be_read():
    for path in FOLDER.glob('*.yaml'):
        assert yaml.safe_load(path.read_text())
    assert yaml.safe_load((FOLDER / 'obstacles.rviz').read_text())['Visualization Manager']
    layout = json.loads((FOLDER / 'foxglove_layout.json').read_text())
    shown = set(re.findall(r'"([A-Za-z0-9]+![a-z]+)"', json.dumps(layout['layout'])))
    assert shown == layout['configById'].keys()


def test_the_costmap_and_the_monitor_take_the_footprints():
    costmap = yaml.safe_load((FOLDER / 'nav2_costmap.yaml').read_text())
    layer = costmap['local_costmap']['local_costmap']['ros__parameters']['obstacle_layer']
    assert layer['e4']['topic'] == '/obstacles/points'
    assert 'e4' in layer['observation_sources'].split()
    monitor = yaml.safe_load((FOLDER / 'nav2_collision_monitor.yaml').read_text())
    parameters = monitor['collision_monitor']['ros__parameters']
    assert parameters['e4'] == {
        'type': 'pointcloud',
        'topic': '/obstacles/points',
        'min_height': 0.05,
        'max_height': 2.0,
    }
    assert {*parameters['polygons'], *parameters['observation_sources']} <= parameters.keys()
