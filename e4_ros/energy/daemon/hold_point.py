"""Holding one operating point for a person: through the helper if one runs, else as one."""

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
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.plan import FrequencyPlan, PlanPath

_log = logging.getLogger(__name__)

_UNITS = {'ghz': 10**9, 'mhz': 10**6, 'khz': 10**3, 'hz': 1}
_KEEP_ALIVE_S = 0.5  # also the time in which a lost lease is noticed
_FIRST_S = 5.0


def parse_hz(text: str) -> int:
    """Hertz of a text like ``612MHz``, ``1.02 GHz`` or ``612000000``.

    Raises:
        ValueError: it is none.
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
        raise ValueError(f'{text!r} is no frequency; write 612MHz, 1.02GHz or hertz')
    return value


def parse_point(texts: list[str]) -> dict[str, int]:
    """Operating point of texts like ``gpu=612MHz``.

    Raises:
        ValueError: one is not of that form, or names a domain again.
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


class Held:
    """An operating point that is being held; renewed before the helper's watchdog would end it."""

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
        return self._client.lost_because if self._client.state is ClientState.LOST else ''

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the time given, or until the point is lost."""
        self._ending.wait(seconds)

    def end(self) -> None:
        """Renew no more."""
        self._ending.set()
        self._thread.join()

    def _begin(self) -> None:
        before = self._client.counters().applied
        self._client.step(0, 0)
        deadline = time.monotonic() + _FIRST_S
        while self._client.counters().applied == before:
            if time.monotonic() > deadline or not self._client.step(0, 0):
                raise DaemonError(self.lost_because or 'the helper does not set the clocks')
            time.sleep(0.001)

    def _renew(self) -> None:
        while self._client.step(0, 0):
            if self._ending.wait(self._period_s):
                return
        self._ending.set()


@contextlib.contextmanager
def leased(config: DaemonConfig, client_name: str) -> Iterator[DvfsClient]:
    """Hold the lease within the ``with`` block; afterwards the clocks are as before.

    Args:
        config: where the helper listens; without one, the settings of the helper that this
            process then is.
        client_name: shown to others.

    Raises:
        HelperError: the helper refuses, or somebody else holds the lease.
        DomainError, OSError: no helper runs, and this process cannot be one.
    """
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(DvfsClient(config.socket_path))
        try:
            client.status()
        except DaemonError as error:
            if error.errno == errno.EACCES:
                raise
            # No helper runs: be one, at a socket that nobody else finds.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='e4-')))
            own = config.model_copy(update={'socket_path': folder / 'helper.sock', 'group': ''})
            stack.enter_context(Daemon(own))
            client = stack.enter_context(DvfsClient(own.socket_path))
        client.acquire(client_name)
        try:
            yield client
        except BaseException:
            # What went wrong is the news; that a clock did not come back (heat) is said beside it.
            try:
                client.release()
            except DaemonError as error:
                _log.warning('%s', error)
            raise
        client.release()


@contextlib.contextmanager
def hold(
    point: dict[str, int], config: DaemonConfig, client_name: str = 'e4 dvfs set'
) -> Iterator[Held]:
    """Hold an operating point within the ``with`` block; afterwards the clocks are as before.

    Args:
        point: domain → hertz.
        config: see :func:`leased`.
        client_name: shown to others.

    Raises:
        HelperError: the helper refuses, or somebody else holds the lease.
        PlanError, DomainError: the point cannot be set.
    """
    with leased(config, client_name) as client:
        client.set_plan(_plan_of(point, client.board))
        held = Held(client)
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
