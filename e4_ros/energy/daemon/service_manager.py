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

"""What the daemon tells the service manager that started it: the protocol of sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket


class ServiceManager:
    """systemd, where it started this process with ``Type=notify``; else nobody, and all is silent.

    With ``WatchdogSec=`` in the unit, a daemon that says nothing for so long is killed, and what
    it held is restored by ``ExecStopPost=``.
    """

    def __init__(self) -> None:
        address = os.environ.get('NOTIFY_SOCKET', '')
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            with contextlib.suppress(OSError):
                self._socket.connect('\0' + address[1:] if address[0] == '@' else address)

    def ready(self) -> None:
        """The daemon serves, and will say that it is alive as often as the unit asks."""
        asked = os.environ.get('WATCHDOG_USEC', '')
        self._say('READY=1' + (f'\nWATCHDOG_USEC={asked}' if asked else ''))

    def alive(self) -> None:
        """The daemon has just done what it is for."""
        self._say('WATCHDOG=1')

    def stopped(self) -> None:
        """The daemon has restored every clock. Its process may live on, as an inactive node's."""
        self._say('WATCHDOG_USEC=0')
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, text: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # nobody listens, or not fast enough
                self._socket.send(text.encode())
