"""E4 for ROS 2: camera perception that spends only the energy each frame needs."""

__version__ = '0.1.0'
