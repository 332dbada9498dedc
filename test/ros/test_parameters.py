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

"""Parameters over the services that `ros2 param` uses: types, no-ops, a node's own dump."""

from __future__ import annotations

import threading
import time

import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from rcl_interfaces.msg import Parameter as ParameterMsg  # noqa: E402
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from e4_ros.bringup.parameter_spec import ParameterError  # noqa: E402
from e4_ros.nodes.dvfs_helper import DvfsHelper  # noqa: E402
from e4_ros.nodes.perception import Perception  # noqa: E402
from e4_ros.nodes.recorder import Recorder  # noqa: E402

pytestmark = pytest.mark.ros


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.01)


class User:
    """Somebody with `ros2 param`."""

    def __init__(self, node, name: str) -> None:
        self._list, self._get, self._set = (
            node.create_client(kind, f'{name}/{service}')
            for kind, service in (
                (ListParameters, 'list_parameters'),
                (GetParameters, 'get_parameters'),
                (SetParameters, 'set_parameters'),
            )
        )

    def _ask(self, client, **fields):
        assert client.wait_for_service(60)
        future = client.call_async(client.srv_type.Request(**fields))
        until(future.done)
        return future.result()

    def dump(self) -> list:
        """Every parameter with its value, as messages."""
        names = self._ask(self._list).result.names
        values = self._ask(self._get, names=names).values
        return [
            Parameter.from_parameter_msg(ParameterMsg(name=n, value=v))
            for n, v in zip(names, values, strict=True)
        ]

    def set(self, *parameters: Parameter) -> list:
        messages = [parameter.to_parameter_msg() for parameter in parameters]
        return self._ask(self._set, parameters=messages).results

    def set_one(self, name: str, value) -> str:
        """Set one parameter; what was answered, empty when it was taken."""
        (result,) = self.set(Parameter(name, value=value))
        return '' if result.successful else result.reason

    def get(self, name: str):
        return Parameter.from_parameter_msg(
            ParameterMsg(name=name, value=self._ask(self._get, names=[name]).values[0])
        ).value


@pytest.fixture
def start(ros_context):
    """Makes nodes of a class with parameters; a thread spins them. Returns node and user."""
    executor = SingleThreadedExecutor(context=ros_context)
    asking = rclpy.create_node('user', context=ros_context)
    executor.add_node(asking)
    nodes = []

    def begin(kind, **parameters):
        given = [Parameter(name, value=value) for name, value in parameters.items()]
        node = kind(context=ros_context, parameter_overrides=given)
        nodes.append(node)
        executor.add_node(node)
        return node, User(asking, node.get_fully_qualified_name())

    thread = threading.Thread(target=executor.spin)
    thread.start()
    yield begin
    executor.shutdown()
    thread.join()
    for node in nodes:
        node.stop()
        node.destroy_node()
    asking.destroy_node()


def values_of(parameters) -> dict:
    return {parameter.name: parameter.value for parameter in parameters}


def test_a_number_of_the_other_kind_is_taken_at_start(start):
    _, user = start(Perception, autostart=False, min_score=1, deadline_s=0, threads=2.0)
    assert [user.get(name) for name in ('min_score', 'deadline_s', 'threads')] == [1.0, 0.0, 2]
    assert isinstance(user.get('min_score'), float)
    assert isinstance(user.get('threads'), int)


def test_a_number_of_the_other_kind_is_taken_later(start):
    _, user = start(Perception, autostart=False)
    assert user.set_one('deadline_s', 1) == ''
    assert user.get('deadline_s') == 1.0
    assert user.set_one('threads', 3.0) == ''
    assert user.get('threads') == 3


@pytest.mark.parametrize(
    ('name', 'wrong', 'says'),
    [
        ('deadline_s', 'many', "deadline_s takes a number (double), not 'many'"),
        ('threads', 1.5, 'threads takes a whole number (integer), not 1.5'),
        ('threads', True, 'threads takes a whole number (integer), not True'),
        ('model', 5, 'model takes a text (string), not 5'),
        ('replan', 1, 'replan takes true or false (bool), not 1'),
        ('plan_domains', 'cpu', 'plan_domains takes a list of texts (string array), such as'),
    ],
)
def test_a_wrong_type_is_refused_with_name_type_and_value(start, ros_context, name, wrong, says):
    _, user = start(Perception, autostart=False)
    before = user.get(name)
    assert says in user.set_one(name, wrong)
    assert user.get(name) == before
    with pytest.raises(ParameterError) as refusal:
        Perception(context=ros_context, parameter_overrides=[Parameter(name, value=wrong)])
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ('kind', 'given'),
    [
        (Perception, {'helper': '', 'threads': 1}),
        (DvfsHelper, {'board': 'jetson_nano'}),
        (Recorder, {'topics': ['/nothing']}),
    ],
)
def test_a_running_node_takes_its_own_dump(start, tmp_path, kind, given):
    if kind is Recorder:
        given = given | {'output': str(tmp_path / 'x.mcap')}
    node, user = start(kind, **given)
    if kind is Perception:
        node.create_publisher(Image, 'image', 1)  # it listens once somebody publishes
        until(lambda: node._images and node._images.is_listening)
    if kind is DvfsHelper:
        until(lambda: node._served.daemon is not None)
    dumped = user.dump()
    names = {parameter.name for parameter in dumped}
    assert 'use_sim_time' in names
    if kind is Perception:
        assert 'qos_overrides./image.subscription.depth' in names
    refusals = [result.reason for result in user.set(*dumped) if not result.successful]
    assert not refusals
    assert values_of(user.dump()) == values_of(dumped)


def test_what_is_read_only_stays_so(start):
    _, user = start(Perception, autostart=False)
    assert user.set_one('diagnostics_period_s', 1) == ''  # it is 1.0
    assert 'read-only' in user.set_one('diagnostics_period_s', 2.0)
