"""Clocks that can be pinned and restored, one module for each kind of the kernel's."""

from e4_ros.energy.domains.discovery import discover, discover_some, restore_snapshot
from e4_ros.energy.domains.domain import Domain

__all__ = ['Domain', 'discover', 'discover_some', 'restore_snapshot']
