# Copyright 2026 e4_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Devices that the memory must serve on time, whatever else it does: displays and cameras.

A display that is scanned out and a camera on CSI read and write at a fixed pace (NVIDIA calls them
isochronous clients). Where the memory is too slow for them, pictures tear and images are lost. The
kernel's bandwidth manager keeps them in mind, and a clock that is pinned goes around it.
Sources: drm_sysfs.c (`enabled`, `dpms`); Documentation/ABI/testing/sysfs-devices-power
(`runtime_status`, which is `active` while a camera's receiver streams).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.domains.sysfs import read_text
from e4_ros.energy.errors import DomainError

MEMORY = 'emc'
"""Name of the memory's domain, whatever its interface."""


class IsochronousGuard:
    """Keeps the memory's clock up while it has such clients.

    Args:
        root: folder that holds ``sys/``.
        floor: share of the memory's highest allowed clock, 0 to 1, that is kept for them; 0 looks
            for none.
    """

    def __init__(self, root: Path, floor: float = 1.0) -> None:
        self._root, self._floor = root, floor
        self.clients: tuple[str, ...] = ()

    def look(self) -> bool:
        """Look for clients; `limits` goes by what was found last.

        Returns:
            Whether there are others than before.
        """
        before = self.clients
        self.clients = tuple(isochronous_clients(self._root)) if self._floor else ()
        return before != self.clients

    def limits(self, domain: Domain, limits: tuple[int, int]) -> tuple[int, int]:
        """Limits of a domain in hertz: the memory's lower one is raised while it has clients."""
        low, high = limits
        if domain.name != MEMORY or not self.clients:
            return limits
        allowed = [hz for hz in domain.frequencies_hz if low <= hz <= high]
        enough = math.ceil(self._floor * max(allowed, default=high))
        return min((hz for hz in allowed if hz >= enough), default=low), high


def isochronous_clients(root: str | Path = '/') -> Iterator[str]:
    """Displays that are on, and cameras whose receiver streams, by the names that sysfs has."""
    root = Path(root)
    for connector in sorted((root / 'sys/class/drm').glob('card*-*')):
        if _text(connector / 'enabled') == 'enabled' and _text(connector / 'dpms') in ('On', ''):
            yield connector.name
    for camera in sorted((root / 'sys/class/video4linux').glob('video*')):
        device = camera / 'device'
        # A camera on USB is served by a controller with buffers of its own.
        usb = (device / 'bInterfaceClass').exists()
        if not usb and _text(device / 'power/runtime_status') == 'active':
            yield camera.name


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except DomainError:
        return ''
