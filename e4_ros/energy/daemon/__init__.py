"""The only process that writes sysfs: leases, plans, the undo log, recovery."""

from e4_ros.energy.daemon.access import SocketPathError
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig, parse_limits
from e4_ros.energy.daemon.hold_point import HeldPoint, hold, leased, parse_hz, parse_point
from e4_ros.energy.daemon.lease import LeaseError
from e4_ros.energy.daemon.recovery import recover
from e4_ros.energy.daemon.undo_log import DaemonRunning, UndoLog, UndoLogError

__all__ = [
    'Daemon',
    'DaemonConfig',
    'DaemonRunning',
    'HeldPoint',
    'LeaseError',
    'SocketPathError',
    'UndoLog',
    'UndoLogError',
    'hold',
    'leased',
    'parse_hz',
    'parse_limits',
    'parse_point',
    'recover',
]
