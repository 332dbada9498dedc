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

_SO_PEERGROUPS = 59  # Linux 4.13; not in Python's socket
_UCRED = struct.Struct('3i')


class SocketPathError(OSError):
    """The socket cannot be made at its path; the message says what is in the way."""


def listen(path: str | Path, gid: int | None = None) -> socket.socket:
    """Listen on a Unix SOCK_SEQPACKET socket.

    Args:
        path: path of the socket file. A stale socket there is replaced; anything else is left alone
            and refused.
        gid: number of the group whose members may connect (mode 0660); None: only this user (0600).

    Raises:
        SocketPathError: a live socket or another file is at the path, or permission is missing.
        ValueError: the path is too long for a socket.
    """
    text = check_socket_path(path)
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear_stale(text)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        # The mode of the unbound socket becomes the file's: nobody can connect in between.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(text)
        if gid is not None:
            if Path(text).stat().st_gid != gid:
                os.chown(text, -1, gid)
            Path(text).chmod(0o660)
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
    return listener


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


def _clear_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise SocketPathError(
                errno.EEXIST, f'{path} exists and is not a socket; move it, or choose another path'
            )
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # noqa: PTH108 - the path may not be followed
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EPROTOTYPE):
                raise SocketPathError(error.errno, f'{path}: {error.strerror}') from error
    raise SocketPathError(
        errno.EADDRINUSE, f'somebody listens on {path}: a daemon is running; stop it first'
    )
