"""The client's end of the daemon: what a process asks of it and reads from it."""

from e4_ros.energy.client.client import (
    Applied,
    ClientState,
    DaemonError,
    DvfsClient,
    LeasesInTheWay,
)
from e4_ros.energy.client.protocol import default_socket_path, runtime_dir

__all__ = [
    'Applied',
    'ClientState',
    'DaemonError',
    'DvfsClient',
    'LeasesInTheWay',
    'default_socket_path',
    'runtime_dir',
]
