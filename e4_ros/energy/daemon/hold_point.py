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

"""Holding one operating point: through the daemon if one runs, else by one of our own."""

from __future__ import annotations

import contextlib
import errno
import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient
from e4_ros.energy.client.protocol import known_socket_paths
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.daemon.undo_log import DaemonRunning
from e4_ros.energy.plan import FrequencyPlan, PlanPath

_log = logging.getLogger(__name__)

_UNITS = {'ghz': 10**9, 'mhz': 10**6, 'khz': 10**3, 'hz': 1}
_KEEP_ALIVE_S = 0.5  # also the time in which a lost lease is noticed
_FIRST_S = 5.0


def parse_hz(text: str) -> int:
    """Hertz of a text like ``612MHz``, ``1.02 GHz`` or ``612000000``.

    Raises:
        ValueError: the text is not a positive frequency.
    """
    number, factor = text.strip().lower(), 1
    for unit, hertz in _UNITS.items():
        if number.endswith(unit):
            number, factor = number.removesuffix(unit), hertz
            break
    try:
        value = round(float(number) * factor)
    except (ValueError, OverflowError):
        value = 0
    if value <= 0:
        raise ValueError(f'{text!r} is not a frequency; write 612MHz, 1.02GHz or hertz')
    return value


def parse_point(texts: list[str]) -> dict[str, int]:
    """Operating point of texts like ``gpu=612MHz``.

    Raises:
        ValueError: a text is not of that form, or a domain is given twice.
    """
    point: dict[str, int] = {}
    for text in texts:
        domain, found, hertz = text.partition('=')
        if not found or not domain:
            raise ValueError(f'{text!r} is not like gpu=612MHz')
        if domain in point:
            raise ValueError(f'{domain} is given twice')
        point[domain] = parse_hz(hertz)
    return point


class HeldPoint:
    """An operating point that is held: stepped again before the daemon's watchdog fires."""

    def __init__(self, client: DvfsClient) -> None:
        self._client = client
        self._period_s = min(_KEEP_ALIVE_S, client.watchdog_s / 4)
        self._ending = threading.Event()
        self._begin()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    @property
    def lost_because(self) -> str:
        """Why the point is no longer held; empty while it is."""
        if self._client.state is ClientState.LOST:
            return self._client.lost_because
        if self._client.hangs:
            return 'the daemon hangs: it holds the clocks and applies nothing'
        return ''

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the time given, or until the point is lost."""
        self._ending.wait(seconds)

    def end(self) -> None:
        """Stop holding; the lease and its plan stay."""
        self._ending.set()
        self._thread.join()

    def _begin(self) -> None:
        before = self._client.counters().applied
        self._client.step(0, 0)
        deadline = time.monotonic() + _FIRST_S
        while self._client.counters().applied == before:
            if time.monotonic() > deadline or not self._client.step(0, 0):
                raise DaemonError(self.lost_because or 'the daemon does not set the clocks')
            time.sleep(0.001)

    def _renew(self) -> None:
        while self._client.step(0, 0):
            if self._ending.wait(self._period_s):
                return
        self._ending.set()


@contextlib.contextmanager
def leased(config: DaemonConfig, client_name: str) -> Iterator[DvfsClient]:
    """Hold an exclusive lease within the ``with`` block; afterwards the clocks are as before.

    Args:
        config: settings of the daemon: where it listens and, if none does, how to run one in this
            process.
        client_name: name of the lease's holder, shown to others.

    Yields:
        The client that holds the lease.

    Raises:
        LeasesInTheWay: others hold leases; the message says who.
        DaemonError: the daemon refuses.
        DaemonRunning: a daemon holds the board and listens at no place that is known.
        DomainError, OSError: no daemon runs, and this process cannot run one.
    """
    with contextlib.ExitStack() as stack:
        client = daemon_client(config, stack)
        client.acquire(client_name, exclusive=True)
        try:
            yield client
        except BaseException:
            # The error is what the caller needs; a clock that could not be restored (heat) is
            # logged beside it.
            try:
                client.release()
            except DaemonError as error:
                _log.warning('%s', error)
            raise
        client.release()


def daemon_client(config: DaemonConfig, stack: contextlib.ExitStack) -> DvfsClient:
    """A client of the daemon that runs; where none does, of one in this process. Holds no lease.

    Args:
        config: as for :func:`leased`.
        stack: closes the client, and the daemon of this process.

    Raises:
        DaemonRunning: a daemon holds the board and listens at no place that is known.
        DomainError, OSError: no daemon runs, and this process cannot run one.
    """
    client = stack.enter_context(DvfsClient(config.socket_path))
    try:
        served = client.status()['root']
        if served == str(config.root):
            return client
        if 'socket_path' in config.model_fields_set:
            raise ValueError(
                f'the daemon at {config.socket_path} serves the clocks below {served}, and these '
                f'are below {config.root}; name its root, or another socket'
            )
    except DaemonError as error:
        if error.errno in (errno.EACCES, errno.EPROTO):
            raise
    # No daemon there: run one in this process, at a socket that nobody else finds.
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='e4-')))
    own = config.model_copy(update={'socket_path': folder / 'helper.sock', 'group': ''})
    try:
        stack.enter_context(Daemon(own))
    except DaemonRunning:
        # It listens elsewhere. Whether it may be asked is for its socket to say.
        other = _listening_for(config.root)
        if other is None:
            raise
        return stack.enter_context(other)
    return stack.enter_context(DvfsClient(own.socket_path))


def _listening_for(root: Path) -> DvfsClient | None:
    """A client of the daemon that holds the board below a root, if it listens at a known place."""
    for path in known_socket_paths():
        client = DvfsClient(path)
        try:
            if client.status()['root'] == str(root):
                return client
        except DaemonError:
            continue
    return None


@contextlib.contextmanager
def hold(
    point: dict[str, int], config: DaemonConfig, client_name: str = 'e4 dvfs set'
) -> Iterator[HeldPoint]:
    """Hold an operating point within the ``with`` block; afterwards the clocks are as before.

    Args:
        point: domain → frequency in hertz.
        config: settings of the daemon; see :func:`leased`.
        client_name: name of the lease's holder, shown to others.

    Yields:
        The point that is held.

    Raises:
        LeasesInTheWay: others hold leases; the message says who.
        DaemonError: the daemon refuses.
        PlanError, DomainError: the point cannot be set.
    """
    with leased(config, client_name) as client:
        client.set_plan(_plan_of(point, client.board))
        held = HeldPoint(client)
        try:
            yield held
        finally:
            held.end()


def _plan_of(point: dict[str, int], board: str) -> FrequencyPlan:
    only = PlanPath(segments=[0], points=[point], expected_latency_s=0.0, expected_energy_j=0.0)
    return FrequencyPlan(
        name='one point',
        board=board,
        model='none',
        segments=['all'],
        devices=['cpu'],
        paths={'all': only},
        source='modelled',
    )
