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

"""Parts follow the transitions in their order; a failure leaves nothing behind."""

from __future__ import annotations

import pytest

rclpy = pytest.importorskip('rclpy')

from rclpy.lifecycle import ManagedEntity, TransitionCallbackReturn  # noqa: E402

from e4_ros.bringup.node_parameters.common import AUTOSTART  # noqa: E402
from e4_ros.nodes.lifecycle import AutostartNode  # noqa: E402

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class Part(ManagedEntity):
    def __init__(self, name: str, told: list[str], fails_at: str = '') -> None:
        self._name, self._told, self._fails_at = name, told, fails_at

    def _tell(self, transition: str) -> TransitionCallbackReturn:
        self._told.append(f'{transition} {self._name}')
        if self._fails_at == transition:
            raise ValueError(f'{self._name} is broken')
        return FAILURE if self._fails_at == f'{transition} quietly' else SUCCESS

    def on_configure(self, state):
        return self._tell('configure')

    def on_activate(self, state):
        return self._tell('activate')

    def on_deactivate(self, state):
        return self._tell('deactivate')

    def on_cleanup(self, state):
        return self._tell('cleanup')


class Robot(AutostartNode):
    def __init__(self, told, fails_at, context) -> None:
        self._told, self._fails_at = told, fails_at
        super().__init__('robot', (AUTOSTART,), context=context)

    def parts(self):
        yield Part('eye', self._told)
        self._told.append('make leg')
        yield Part('leg', self._told, self._fails_at)


@pytest.fixture
def make():
    context = rclpy.context.Context()
    rclpy.init(context=context, domain_id=99)
    nodes = []

    def begin(fails_at: str = '') -> tuple[Robot, list[str]]:
        told: list[str] = []
        nodes.append(Robot(told, fails_at, context))
        return nodes[-1], told

    yield begin
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def test_parts_go_through_the_transitions_in_order(make):
    node, told = make()
    assert node.trigger_configure() == SUCCESS
    assert told == ['configure eye', 'make leg', 'configure leg']
    told.clear()
    assert node.trigger_activate() == SUCCESS
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS
    assert told == [
        *('activate eye', 'activate leg'),
        *('deactivate leg', 'deactivate eye'),
        *('cleanup leg', 'cleanup eye'),
    ]
    told.clear()
    node.stop()
    assert not told


@pytest.mark.parametrize('how', ['configure', 'configure quietly'])
def test_what_cannot_be_configured_holds_nothing_and_may_be_tried_again(make, how):
    node, told = make(how)
    for _ in range(2):
        told.clear()
        assert node.trigger_configure() == FAILURE
        assert told[-2:] == ['cleanup leg', 'cleanup eye']


def test_what_cannot_be_activated_stays_inactive(make):
    node, told = make('activate')
    assert node.trigger_configure() == SUCCESS
    for _ in range(2):
        told.clear()
        assert node.trigger_activate() == FAILURE
        assert told[-2:] == ['deactivate leg', 'deactivate eye']
    assert node.trigger_cleanup() == SUCCESS


def test_an_exception_at_deactivation_stops_the_node_and_it_may_be_configured_again(make):
    node, told = make('deactivate')
    node.trigger_configure()
    node.trigger_activate()
    node._parts[-1]._tell = lambda transition: _fail_once(node._parts, told, transition)
    assert node.trigger_deactivate() == TransitionCallbackReturn.ERROR
    assert told[-2:] == ['cleanup leg', 'cleanup eye']
    node._fails_at = ''
    assert node.trigger_configure() == SUCCESS


def _fail_once(parts, told, transition):
    del parts[-1]._tell  # the next time is as ever
    parts[-1]._fails_at = ''
    told.append('it broke')
    raise OSError('broken')
