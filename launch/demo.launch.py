"""The main job on a video: nothing but this package is needed."""

from e4_ros.bringup.launching import describe


def generate_launch_description():
    return describe('demo')
