"""A bag, played with its own stamps, through perception."""

from e4_ros.bringup.launching import describe


def generate_launch_description():
    return describe('replay')
