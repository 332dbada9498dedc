"""ROS domains of their own for tests, so that nothing else on the network or machine is met."""

from __future__ import annotations

import pytest


@pytest.fixture(scope='module')
def ros_env():
    """Environment for processes whose nodes shall meet only each other."""
    from e4_ros.bringup.supervisor import private_environment

    environment, lock = private_environment()
    with lock:
        yield environment


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
