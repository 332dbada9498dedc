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
"""Service levels in a perception node: order, drops, depth, models of their own, and the counts."""

from __future__ import annotations

import time
from itertools import islice

import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from test_cameras import CAMERAS, Robot, overrides, until  # noqa: E402

from e4_ros.evaluation.sources import open_source  # noqa: E402
from e4_ros.nodes.perception import Perception  # noqa: E402

pytestmark = pytest.mark.ros


@pytest.fixture
def graph(ros_context, spinning, request):
    """A node with the parameters that a test gives, and a robot with two cameras."""
    perception = Perception(
        context=ros_context,
        parameter_overrides=overrides(
            cameras=list(CAMERAS), check_pay=False, controller='exits', **request.param
        ),
    )
    robot = Robot(ros_context)
    with spinning(perception, robot):
        until(lambda: all(p.get_subscription_count() == 1 for p in robot.images.values()))
        yield perception, robot


@pytest.fixture(scope='module')
def street():
    return [frame for _, frame in islice(open_source('bikes'), 115, 135)]


def values_of(robot, camera) -> tuple[str, dict[str, str]]:
    return robot.statuses()[f'images {camera}']


@pytest.mark.parametrize('graph', [{'camera_slo_ms': ['5000', '0']}], indirect=True)
def test_what_is_kept_is_shown_and_stamps_an_hour_off_do_not_matter(graph, street):
    _, robot = graph
    for index, frame in enumerate(street[:6]):
        for camera, off_s in (('front', -3600.0), ('rear', 3600.0)):
            robot.answer_to(camera, robot.send(camera, frame, time.time() + off_s + index / 10))
    until(lambda: robot.counts('front') == (6, 6, 0))
    _, values = values_of(robot, 'front')
    assert values['slo_ms'] == '5000'
    assert float(values['slack_ms']) > 0
    assert (values['late'], values['too_late'], values['missed_percent']) == ('0', '0', '0.0')
    assert 'takes_ms.full' in values
    assert 'slo_ms' not in values_of(robot, 'rear')[1], 'nothing is promised of it'


@pytest.mark.parametrize('graph', [{'camera_slo_ms': ['0.01', '20000']}], indirect=True)
def test_a_level_that_nobody_can_meet_is_said_and_every_image_is_counted(graph, street):
    _, robot = graph
    for index in range(30):
        robot.send('front', street[index % 20], 100 + index / 15)
        if index % 3 == 0:
            robot.send('rear', street[index % 20], 100 + index / 15)
        time.sleep(1 / 15)
    until(lambda: robot.counts('front')[0] == 30 and robot.counts('rear')[0] == 10)
    received, processed, dropped = robot.counts('front')
    assert received == processed + dropped
    assert processed > 0, 'it has an answer now and then'
    words, values = values_of(robot, 'front')
    assert int(values['dropped.too_late']) > 10
    assert 'nobody can answer within 0.01 ms here' in words
    assert 'camera_slo_ms' in words
    assert robot.counts('rear')[1] >= 9, 'the other one is answered'


@pytest.mark.parametrize(
    'graph',
    [{'camera_models': ['pedestrian_ssdlite', 'efficientnet_lite0'], 'camera_slo_ms': ['9000']}],
    indirect=True,
)
def test_cameras_have_models_of_their_own(graph, street):
    perception, robot = graph
    for index, frame in enumerate(street[:3]):
        said = {}
        for camera in CAMERAS:
            _, telemetry = robot.answer_to(camera, robot.send(camera, frame, 50 + index / 10))
            said[camera] = telemetry.model
        assert said['front'] != said['rear']
    statuses = robot.statuses()
    assert {'network front', 'network rear'} <= statuses.keys()
    assert statuses['network rear'][1]['task'] == 'classify'
    first, second = perception._network.get().perceivers
    assert first.engine.model.name != second.engine.model.name
