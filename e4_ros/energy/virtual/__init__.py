"""Virtual boards: a tree of plain files, or a mounted file system with the kernel's rules."""

from e4_ros.energy.virtual.board import board_of, write_tree
from e4_ros.energy.virtual.faults import Fault, FaultError, Faults
from e4_ros.energy.virtual.machine import VirtualMachine
from e4_ros.energy.virtual.mount import MountError, mount_problem, mounted, serve

__all__ = [
    'Fault',
    'FaultError',
    'Faults',
    'MountError',
    'VirtualMachine',
    'board_of',
    'mount_problem',
    'mounted',
    'serve',
    'write_tree',
]
