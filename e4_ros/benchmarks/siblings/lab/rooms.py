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

"""Two places with a shaped link between them, and the best of them that the machine has."""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Iterator, Sequence
from typing import Protocol

from e4_ros.benchmarks.siblings.lab.link_shape import LinkShape
from e4_ros.benchmarks.siblings.lab.places import NamespacePlace, Place, Running, python

_ROBOT_IP, _SERVER_IP = '10.66.14.1', '10.66.14.2'
_ROBOT_END, _SERVER_END = 'e4robot', 'e4server'
_BURST_S = 0.002  # of a rate, at once
_PACKET = 1514
_QUEUE_MS = 200  # what waits longer at the link's entry is lost


class Room(Protocol):
    """Two places and the link between them.

    Attributes:
        robot: where the robot runs.
        server: where the server runs.
        means: sentences that say what shapes the link, and what is not as on a real one.
    """

    robot: Place
    server: Place
    means: Sequence[str]

    def listen(self, port: int) -> str:
        """Address at which the server is to listen, as ``host:port``."""
        ...

    def address(self, port: int) -> str:
        """Address at which the robot finds what listens at the server's ``port``."""
        ...

    def shape(self, link: LinkShape) -> None:
        """Change the link, which holds from now on."""
        ...


class NamespaceRoom:
    """Two network namespaces with a pair of virtual network cards between them.

    Args:
        delays: whether the link is to delay, too; a relay does where the kernel cannot.

    Raises:
        OSError: the machine does not let us; says why.
    """

    def __init__(self, delays: bool = False) -> None:
        self._relay: Running | None = None
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            robot = NamespacePlace()
            stack.callback(robot.close)
            server = NamespacePlace(robot)
            stack.callback(server.close)
            self._ends = ((robot, _ROBOT_END), (server, _SERVER_END))
            peer = ['peer', 'name', _SERVER_END, 'netns', str(server.pid)]
            robot.run('ip', 'link', 'add', _ROBOT_END, 'type', 'veth', *peer)
            for (place, end), ip in zip(self._ends, (_ROBOT_IP, _SERVER_IP), strict=True):
                place.run('ip', 'addr', 'add', f'{ip}/30', 'dev', end)
                place.run('ip', 'link', 'set', end, 'up')
            self.robot: Place = robot
            self.server: Place = server
            self._netem = self._has_netem()
            self._delays = delays and not self._netem
            self.means: Sequence[str] = self._said(delays)
            self.shape(LinkShape(loss=0.5))  # finds out whether packets can be dropped
            self.shape(LinkShape())
            self._stack = stack.pop_all()

    def listen(self, port: int) -> str:
        """Address at which the server is to listen."""
        return f'{_SERVER_IP}:{port}'

    def address(self, port: int) -> str:
        """Address at which the robot finds it: the server's, or the relay's before it."""
        if not self._delays:
            return f'{_SERVER_IP}:{port}'
        if self._relay is None:
            self._relay = self._stack.enter_context(
                relay(self.server, f'{_SERVER_IP}:0', f'{_SERVER_IP}:{port}')
            )
        return str(self._relay.wait_for('listening').said['address'])

    def shape(self, link: LinkShape) -> None:
        """Change the link."""
        if link.delay_s and not (self._netem or self._delays):
            raise OSError('this kernel has no netem: ask for a room that delays')
        for place, end in self._ends:
            if self._netem:
                self._shape_by_netem(place, end, link)
            else:
                self._shape_by_tbf(place, end, link)
                _drop(place, end, link)
            place.run('ip', 'link', 'set', end, 'up' if link.up else 'down')
        if self._relay is not None:
            self._relay.tell({'delay_s': link.delay_s})

    def close(self) -> None:
        """Remove all of it, once nothing runs in it any more."""
        self._stack.close()

    def _has_netem(self) -> bool:
        try:
            self.robot.run('tc', 'qdisc', 'replace', 'dev', _ROBOT_END, 'root', 'netem')
        except OSError:
            return False
        self.robot.run('tc', 'qdisc', 'del', 'dev', _ROBOT_END, 'root')
        return True

    def _said(self, delays: bool) -> list[str]:
        said = ['robot and server are in network namespaces of their own']
        if self._netem:
            return [*said, 'netem shapes rate, loss and delay; the link goes down by `ip link`']
        said.append(
            'tbf shapes the rate and nftables drop packets, as this kernel has no netem; the link '
            'goes down by `ip link`'
        )
        return [*said, 'a relay delays'] if delays else said

    @staticmethod
    def _shape_by_tbf(place: Place, end: str, link: LinkShape) -> None:
        if math.isinf(link.rate_bps):
            with contextlib.suppress(OSError):  # there was none
                place.run('tc', 'qdisc', 'del', 'dev', end, 'root')
            return
        burst = max(2 * _PACKET, int(link.rate_bps / 8 * _BURST_S))
        place.run(
            *f'tc qdisc replace dev {end} root tbf rate {link.rate_bps:.0f}bit burst {burst} '
            f'latency {_QUEUE_MS}ms'.split()
        )

    @staticmethod
    def _shape_by_netem(place: Place, end: str, link: LinkShape) -> None:
        words = ['limit', '1000', 'delay', f'{link.delay_s * 1e3:.3f}ms']
        if not math.isinf(link.rate_bps):
            words += ['rate', f'{link.rate_bps:.0f}bit']
        if link.loss:
            words += ['loss', f'{link.loss * 100:.3f}%']
        place.run('tc', 'qdisc', 'replace', 'dev', end, 'root', 'netem', *words)
        if link.every:
            _drop(place, end, LinkShape(every=link.every))


def _drop(place: Place, end: str, link: LinkShape) -> None:
    """Lose what comes in at one end."""
    rules = []
    if link.loss:
        rules.append(f'numgen random mod 10000 < {round(link.loss * 10000)}')
    if link.every:
        rules.append(f'numgen inc mod {link.every} 0')
    text = 'table inet e4lab\ndelete table inet e4lab\n'
    if rules:
        lines = '\n'.join(f'iifname "{end}" {rule} drop' for rule in rules)
        hook = 'type filter hook input priority 0;'
        text += f'table inet e4lab {{\nchain lost {{\n{hook}\n{lines}\n}}\n}}\n'
    place.run('nft', '-f', '-', text=text)


class RelayRoom:
    """Two processes on this machine as it is, with a relay between them."""

    means: Sequence[str] = (
        'robot and server are two processes on one machine, as it gives us no network namespaces',
        'a relay between them shapes rate and delay; a lost packet is a pause in which it would '
        'have been sent again, and an outage is one without end',
    )

    def __init__(self) -> None:
        self.robot: Place = Place()
        self.server: Place = Place()
        self._stack = contextlib.ExitStack()
        self._relays: dict[int, Running] = {}
        self._link = LinkShape()

    def listen(self, port: int) -> str:
        """Address at which the server is to listen."""
        return f'127.0.0.1:{port}'

    def address(self, port: int) -> str:
        """Address of the relay to it."""
        if port not in self._relays:
            started = relay(self.server, '127.0.0.1:0', self.listen(port))
            self._relays[port] = self._stack.enter_context(started)
            self._tell(self._relays[port])
        return str(self._relays[port].wait_for('listening').said['address'])

    def shape(self, link: LinkShape) -> None:
        """Change the link."""
        self._link = link
        for running in self._relays.values():
            self._tell(running)

    def close(self) -> None:
        """End the relays."""
        self._stack.close()

    def _tell(self, running: Running) -> None:
        link = self._link
        rate = 0.0 if math.isinf(link.rate_bps) else link.rate_bps
        running.tell(
            {
                'rate_bps': rate,
                'loss': link.loss,
                'every': link.every,
                'delay_s': link.delay_s,
                'up': link.up,
            }
        )


def relay(place: Place, listen: str, to: str) -> Running:
    """Start a relay."""
    return Running(place, python('e4_ros.benchmarks.siblings.lab.relay', listen, to))


def check_kind(kind: str) -> None:
    """Refuse what is no kind of room.

    Raises:
        ValueError: says which there are.
    """
    if kind not in ('auto', 'namespaces', 'relay'):
        raise ValueError(f'no room {kind!r}; there are auto, namespaces and relay')


@contextlib.contextmanager
def open_room(kind: str = 'auto', delays: bool = False) -> Iterator[Room]:
    """The best room that this machine has.

    Args:
        kind: ``namespaces``, ``relay``, or ``auto`` for the former where there may be some.
        delays: whether the link is to delay, too.

    Raises:
        OSError: there may be no namespaces, and they were asked for.
        ValueError: there is no such kind.
    """
    room: NamespaceRoom | RelayRoom
    check_kind(kind)
    if kind == 'relay':
        room = RelayRoom()
    else:
        try:
            room = NamespaceRoom(delays)
        except OSError as error:
            if kind == 'namespaces':
                raise
            room = RelayRoom()
            room.means = (f'{room.means[0]} ({error})', *room.means[1:])
    with contextlib.closing(room):
        yield room


def free_port(place: Place) -> int:
    """A port that nobody listens at, there; the next who asks may get the same."""
    if isinstance(place, NamespacePlace):
        return 7447  # nobody else is there
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])
