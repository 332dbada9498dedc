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

"""The profiler node against a real action client, in one process."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

rclpy = pytest.importorskip('rclpy')

from rclpy.action import ActionClient  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402

from e4_ros.energy.plan import FrequencyPlan  # noqa: E402

pytestmark = pytest.mark.ros


@pytest.fixture
def graph(tmp_path):
    """The node, a client's node, and a thread that spins both."""
    from e4_ros.nodes.profiler import Profiler

    context = Context()
    rclpy.init(context=context, domain_id=77)
    profiler = Profiler(
        context=context,
        parameter_overrides=[
            Parameter('output_dir', value=str(tmp_path)),
            Parameter('yardstick', value=False),
        ],
    )
    user = rclpy.create_node('user', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(profiler)
    executor.add_node(user)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield user
    executor.shutdown()
    thread.join(timeout=5)
    profiler.destroy_node()
    user.destroy_node()
    rclpy.shutdown(context=context)


def wait(future, timeout_s: float = 60.0):
    until = time.monotonic() + timeout_s
    while not future.done():
        assert time.monotonic() < until, 'no answer'
        time.sleep(0.01)
    return future.result()


def profile(user, **fields):
    """Send a goal; returns its result and the feedback."""
    from e4_ros.action import Profile

    client = ActionClient(user, Profile, 'profiler/profile')
    assert client.wait_for_server(timeout_sec=10)
    feedback = []
    goal = Profile.Goal(**fields)
    for _ in range(50):
        handle = wait(
            client.send_goal_async(goal, feedback_callback=lambda m: feedback.append(m.feedback))
        )
        if handle.accepted:  # refused until autostart has activated the node
            break
        time.sleep(0.1)
    assert handle.accepted
    result = wait(handle.get_result_async()).result
    client.destroy()
    return result, feedback


def test_a_goal_ends_with_a_plan_file(graph):
    result, feedback = profile(
        graph, board='jetson_nano', exit_names=['track', 'full'], exit_shares=[0.7, 0.3]
    )
    assert result.success, result.message
    plan = FrequencyPlan.load(Path(result.plan_path))
    assert plan == FrequencyPlan.from_yaml(result.plan_yaml)
    assert (plan.board, result.energy_source) == ('jetson_nano', 'modelled')
    assert result.expected_energy_j > 0
    progress = [f.progress for f in feedback]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_what_cannot_be_planned_aborts_with_the_reason(graph):
    result, _ = profile(graph, board='jetson_nano', deadline_s=1e-6)
    assert not result.success
    assert 'the fastest needs' in result.message


def test_board_and_exits_come_from_the_graph(graph):
    from e4_ros.msg import DvfsState, ExitTelemetry

    result, _ = profile(graph)
    assert 'name a board' in result.message
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    states = graph.create_publisher(DvfsState, 'dvfs_helper/state', latched)
    exits = graph.create_publisher(ExitTelemetry, 'perception/exit_telemetry', 10)
    states.publish(DvfsState(board='jetson_tx2'))
    until = time.monotonic() + 10
    while exits.get_subscription_count() == 0 and time.monotonic() < until:
        time.sleep(0.02)
    for _ in range(5):
        exits.publish(ExitTelemetry(model='pedestrian_ssdlite', exit_name='nonexistent'))
    for _ in range(100):
        result, _ = profile(graph)
        if 'name a board' not in result.message and 'nonexistent' in result.message:
            break
        time.sleep(0.05)
    assert 'unknown exit nonexistent' in result.message
