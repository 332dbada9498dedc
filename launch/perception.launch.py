"""Camera perception with early exits and clock steps."""

from e4_ros.bringup.launching import describe


def generate_launch_description():
    return describe('perception')
