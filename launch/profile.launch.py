"""The profiler and its action."""

from e4_ros.bringup.launching import describe


def generate_launch_description():
    return describe('profile')
