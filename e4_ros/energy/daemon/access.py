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

"""Access control: the socket file, its group, and the credentials of the peers."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
import struct
from pathlib import Path

from e4_ros.energy.client.protocol import check_socket_path
from e4_ros.energy.daemon.lease import Peer
from e4_ros.energy.daemon.safe_folder import UnsafeFolder, open_folder

_SO_PEERGROUPS = 59  # Linux 4.13; not in Python's socket
_UCRED = struct.Struct('3i')


class SocketPathError(OSError):
    """The socket cannot be made at its path; the message says what is in the way."""


def listen(path: str | Path, gid: int | None = None) -> socket.socket:
    """Listen on a Unix SOCK_SEQPACKET socket.

    Args:
        path: path of the socket file. A stale socket there is replaced; anything else is left alone
            and refused. Its folder is made if it is missing, and must be one in which nobody else
            can replace the socket.
        gid: number of the group whose members may connect (mode 0660); None: only this user (0600).

    Raises:
        SocketPathError: a live socket or another file is at the path, others may change its folder,
            or permission is missing.
        ValueError: the path is too long for a socket.
    """
    text = check_socket_path(path)
    try:
        folder = open_folder(Path(text).parent, shared=True)
    except UnsafeFolder as error:
        raise SocketPathError(error.errno, error.strerror) from error
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        _clear_stale(folder, text)
        _bind(listener, folder, text, gid)
        listener.listen(64)
    except PermissionError as error:
        listener.close()
        raise SocketPathError(
            error.errno,
            f'no permission to make {text} (or to give it to group {gid}): run as a member of the '
            'group, or choose another `socket_path`',
        ) from error
    except OSError:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener


def _bind(listener: socket.socket, folder: int, text: str, gid: int | None) -> None:
    # The mode of the unbound socket becomes the file's: nobody can connect in between.
    os.fchmod(listener.fileno(), 0o600)
    name = Path(text).name
    listener.bind(f'/proc/self/fd/{folder}/{name}')
    if gid is not None:
        if os.stat(name, dir_fd=folder).st_gid != gid:
            os.chown(name, -1, gid, dir_fd=folder)
        os.chmod(name, 0o660, dir_fd=folder)


def peer_of(connection: socket.socket) -> Peer:
    """Process, user and group at the other end, as they were when it connected."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return Peer(*_UCRED.unpack(data))


def may_talk(connection: socket.socket, gid: int | None = None) -> bool:
    """Whether the other end is root, this user, or a member of the group."""
    peer = peer_of(connection)
    if peer.uid in (0, os.geteuid()):
        return True
    return gid is not None and (gid == peer.gid or gid in _groups(connection, peer))


def _groups(connection: socket.socket, peer: Peer) -> set[int]:
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
        return set(struct.unpack(f'{len(data) // 4}I', data))
    except OSError:
        pass  # an older kernel: ask the user database
    try:
        return set(os.getgrouplist(pwd.getpwuid(peer.uid).pw_name, peer.gid))
    except KeyError:
        return set()


def gid_of(group: str) -> int | None:
    """Number of a group; None for an empty name.

    Raises:
        SocketPathError: there is no such group.
    """
    if not group:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SocketPathError(
            errno.ENOENT,
            f'there is no group {group!r}: `sudo groupadd --system {group}`, or name none',
        ) from None


def _clear_stale(folder: int, path: str) -> None:
    name = Path(path).name
    try:
        if not stat.S_ISSOCK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise SocketPathError(
                errno.EEXIST, f'{path} exists and is not a socket; move it, or choose another path'
            )
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)
        try:
            probe.connect(f'/proc/self/fd/{folder}/{name}')
        except ConnectionRefusedError:
            os.unlink(name, dir_fd=folder)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EPROTOTYPE):
                raise SocketPathError(error.errno, f'{path}: {error.strerror}') from error
    raise SocketPathError(
        errno.EADDRINUSE, f'somebody listens on {path}: a daemon is running; stop it first'
    )
