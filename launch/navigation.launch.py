"""Camera perception, and its objects in metres for navigation."""

from e4_ros.bringup.launching import describe


def generate_launch_description():
    return describe('navigation')
