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

"""A client's connection to the daemon: requests wait for their answer, steps do not."""

from __future__ import annotations

import array
import contextlib
import errno
import json
import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Any

from e4_ros.energy.client import protocol
from e4_ros.energy.plan import MAX_PLAN_BYTES


class DaemonError(OSError):
    """The daemon is not there, or refuses; the message says why.

    ``errno`` is ``EPROTO`` where the daemon is of another version than the client.
    """


class LeasesInTheWay(DaemonError):  # noqa: N818
    """The leases of others leave no room for one more, or one wants the clocks alone."""


class Connection:
    """A connected socket.

    Args:
        path: path of the daemon's socket.
        timeout_s: longest time in seconds that connecting, and each answer, may take.

    Attributes:
        send: hands a datagram to the kernel without waiting; raises OSError.

    Raises:
        DaemonError: nobody listens at the path, or permission is missing.
        ValueError: the path is too long for a socket.
    """

    def __init__(self, path: str, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        text = protocol.check_socket_path(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_PLAN_BYTES)
            # Many may be waiting to be accepted. Python's own timeout would not wait at all here.
            timeout = struct.pack('ll', int(timeout_s), int(timeout_s % 1 * 1e6))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
            self._socket.connect(text)
        except PermissionError as error:
            self.close()
            raise DaemonError(
                error.errno, f'no permission for {text}; join its group (`ls -l {text}`)'
            ) from None
        except BlockingIOError as error:
            self.close()
            raise DaemonError(error.errno, f'the daemon at {text} does not answer') from None
        except OSError as error:
            self.close()
            raise DaemonError(
                error.errno, f'no daemon listens on {text}; start one: `e4 dvfs serve`'
            ) from None
        self._socket.setblocking(False)
        self.send: Callable[[bytes], int] = self._socket.send

    def ask(self, message: bytes) -> tuple[dict[str, Any], int | None]:
        """Send a request and wait for its answer.

        Returns:
            The answer, and the descriptor of the status page if one came with it.

        Raises:
            DaemonError: the answer is of another version of the daemon.
            OSError: the daemon hung up, or did not answer in time.
        """
        self._wait_for(select.POLLOUT)  # steps that were not yet received may fill the socket
        self._socket.send(message)
        self._wait_for(select.POLLIN)
        data, ancillary, _, _ = self._socket.recvmsg(
            protocol.MAX_MESSAGE, socket.CMSG_SPACE(array.array('i').itemsize)
        )
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, 'it hung up')
        descriptors = array.array('i')
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content)
        try:
            answer = protocol.parse_answer(message[0], data)
        except protocol.ProtocolError as error:
            for descriptor in descriptors:
                os.close(descriptor)
            raise DaemonError(errno.EPROTO, str(error)) from None
        return answer, descriptors[0] if descriptors else None

    def _wait_for(self, event: int) -> None:
        descriptor = self._socket.fileno()
        if descriptor < 0:
            raise ConnectionAbortedError(errno.ECONNABORTED, 'the connection was closed')
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(1000 * self._timeout_s):
            raise TimeoutError(errno.ETIMEDOUT, f'no answer within {self._timeout_s:g} s')

    def hang_up_reason(self) -> str:
        """Why the daemon hung up, if it said so; else empty."""
        # A first receive may report the reset, and only the second what was said before it.
        for _ in range(2):
            try:
                return str(json.loads(self._socket.recv(protocol.MAX_MESSAGE))['error'])
            except (OSError, ValueError, KeyError):
                continue
        return ''

    def close(self) -> None:
        """Hang up; an `ask` that waits in another thread ends with an error."""
        with contextlib.suppress(OSError):  # it was never connected, or the daemon hung up
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
