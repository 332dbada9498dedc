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

"""ROS domains of their own for tests, so that nothing else on the network or machine is met."""

from __future__ import annotations

import subprocess
import threading
from contextlib import contextmanager

import pytest


@pytest.fixture(scope='module')
def ros_env():
    """Environment for processes whose nodes shall meet only each other."""
    from e4_ros.bringup.supervisor import private_environment

    environment, lock = private_environment()
    with lock:
        yield environment


@pytest.fixture
def spawn():
    """Start processes; those that still run when the test ends are killed."""
    started = []

    def begin(command, **options) -> subprocess.Popen:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope='module')
def ros_context(ros_env):
    """An initialised rclpy context in the domain of `ros_env`."""
    import rclpy
    from rclpy.context import Context

    with pytest.MonkeyPatch.context() as patch:
        for name in ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOCALHOST_ONLY'):
            if name in ros_env:
                patch.setenv(name, ros_env[name])
        context = Context()
        rclpy.init(context=context, domain_id=int(ros_env['ROS_DOMAIN_ID']))
        yield context
        rclpy.try_shutdown(context=context)


@pytest.fixture(scope='module')
def spinning(ros_context):
    """A block in which a perception node and the robot of its test spin in one executor."""
    from rclpy.executors import SingleThreadedExecutor

    @contextmanager
    def block(perception, robot):
        executor = SingleThreadedExecutor(context=ros_context)
        executor.add_node(perception)
        executor.add_node(robot)
        thread = threading.Thread(target=executor.spin)
        thread.start()
        try:
            yield executor
        finally:
            executor.shutdown()
            thread.join()
            perception.stop()
            perception.destroy_node()
            robot.destroy_node()

    return block
