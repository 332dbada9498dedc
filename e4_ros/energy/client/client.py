"""The other end of the helper's socket: take the lease, give a plan, step through it.

with DvfsClient() as clocks:
    clocks.acquire('perception')
    clocks.set_plan(plan)
    clocks.step(path, segment)      # microseconds, never waits, never raises
    point, energy_j, source = clocks.applied()
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from e4_ros.energy.client import protocol
from e4_ros.energy.client.connection import Connection, DaemonError
from e4_ros.energy.client.status_page import Counters, PageReader
from e4_ros.energy.client.this_cpu import this_cpu
from e4_ros.energy.plan import MAX_PLAN_BYTES, FrequencyPlan, PlanError

__all__ = ['Applied', 'ClientState', 'DaemonError', 'DvfsClient']


_CPU_EVERY = 16
"""Steps between two that tell the helper which CPU to keep off; asking takes microseconds."""


class ClientState(Enum):
    """Where a client stands with the helper."""

    CLOSED = 'closed'
    HELD = 'held'
    LOST = 'lost'


class Applied(NamedTuple):
    """What the clocks are.

    Attributes:
        point: domain → hertz.
        energy_j: joules since the helper started; the difference of two readings counts.
        source: ``measured``, ``modelled`` or ``none``.
    """

    point: dict[str, int]
    energy_j: float
    source: str


class DvfsClient:
    """One client of the DVFS helper; use it from one thread.

    Args:
        socket_path: the helper's socket; by default ``$E4_SOCKET`` or the system's.
        timeout_s: how long a request may take.

    Attributes:
        state: where it stands.
        lost_because: why a lease was lost.
        board: name of the board, while the lease is held, as the two that follow.
        frequencies_hz: domain → what a plan may use.
        watchdog_s: without a step for so long, the clocks rest.
        unsent: steps for which the socket had no room.
    """

    def __init__(self, socket_path: str | Path | None = None, timeout_s: float = 5.0) -> None:
        self.socket_path = str(socket_path or protocol.default_socket_path())
        self.state = ClientState.CLOSED
        self.board = ''
        self.frequencies_hz: dict[str, tuple[int, ...]] = {}
        self.watchdog_s = float('inf')
        self.unsent = 0
        self.lost_because = ''
        self._timeout_s = timeout_s
        self._connection: Connection | None = None
        self._page: PageReader | None = None
        self._steps: list[list[bytes | None]] = []
        self._send: Callable[[bytes], int] = len  # the connection's, while there are steps
        self._count = 0

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the board's domains."""
        return tuple(self.frequencies_hz)

    def acquire(self, name: str, token: str = '') -> None:
        """Connect and take the lease, anew if an earlier one was lost.

        Args:
            name: for people.
            token: of a reservation made through the ROS service, if it was.

        Raises:
            HelperError: no helper, no permission, or the lease is another's.
        """
        if self.state is ClientState.HELD:
            raise DaemonError('this client holds the lease already')
        self.close()
        self._connection = Connection(self.socket_path, self._timeout_s)
        answer = self._ask(protocol.pack_request(protocol.ACQUIRE, client=name, token=token))
        self.board = answer['board']
        self.watchdog_s = answer['watchdog_s']
        self.frequencies_hz = {name: tuple(table) for name, table in answer['domains'].items()}
        self.state = ClientState.HELD

    def set_plan(self, plan: FrequencyPlan) -> None:
        """Put a plan in force; its paths and segments are then what `step` counts.

        Raises:
            HelperError: the helper refuses the plan, or is gone.
            PlanError: the plan is too long to send.
        """
        text = plan.model_dump_json()
        if len(text) > MAX_PLAN_BYTES:
            raise PlanError(f'plan {plan.name!r} is longer than {MAX_PLAN_BYTES} bytes')
        self._ask(bytes([protocol.SET_PLAN]) + text.encode())
        assert self._connection is not None
        self._steps, self._send = [], self._connection.send
        for index, path in enumerate(plan.paths.values()):
            row: list[bytes | None] = [None] * len(plan.segments)
            for segment in path.segments:
                row[segment] = protocol.pack_step(index, segment)
            self._steps.append(row)

    def step(self, path: int, segment: int) -> bool:
        """Say that a segment begins; return whether that was said.

        False where the plan has no point for the segment, where the helper is gone (`state` is then
        ``LOST`` and `lost_because` says why) or lags so far behind that the socket is full
        (`unsent` counts these).

        Args:
            path: index into the plan's ``exits``.
            segment: index into the plan's ``segments``.
        """
        message = self._steps[path][segment] if self._steps else None
        if message is None:
            return False
        self._count += 1
        if self._count % _CPU_EVERY == 0:
            message = protocol.pack_step(path, segment, this_cpu())
        try:
            self._send(message)
            return True
        except BlockingIOError:
            self.unsent += 1
        except OSError:
            self._lose()
        return False

    def applied(self) -> Applied:
        """Read what the clocks are now and what was used so far, without a system call.

        Without a helper: an empty point, NaN joules and the source ``none``.
        """
        if self._page is None:
            return Applied({}, float('nan'), 'none')
        energy_j, source = self._page.energy()
        return Applied(
            dict(zip(self.frequencies_hz, self._page.clocks(), strict=True)), energy_j, source
        )

    def changed_ns(self) -> int:
        """When the clocks last changed (CLOCK_MONOTONIC); 0 without a helper."""
        return 0 if self._page is None else self._page.changed_ns

    def counters(self) -> Counters:
        """The helper's step counters; zeros without a helper."""
        return Counters(0, 0, 0) if self._page is None else self._page.counters()

    def status(self) -> dict[str, Any]:
        """What the helper holds: board, holder, plan, problems, domains; no lease is needed.

        Raises:
            HelperError: no helper, or no permission.
        """
        if self.state is ClientState.HELD:
            return self._ask(protocol.pack_request(protocol.STATUS))
        other = DvfsClient(self.socket_path, self._timeout_s)
        try:
            other._connection = Connection(self.socket_path, self._timeout_s)
            return other._ask(protocol.pack_request(protocol.STATUS))
        finally:
            other.close()

    def release(self) -> None:
        """Give the lease back; when this returns the clocks are as before. Without one, nothing.

        Raises:
            HelperError: the helper could not bring everything back; says what.
        """
        if self.state is not ClientState.HELD:
            return
        try:
            problems = self._ask(protocol.pack_request(protocol.RELEASE)).get('problems')
        finally:
            self.close()
        if problems:
            raise DaemonError('not everything came back: ' + '; '.join(problems))

    def close(self) -> None:
        """Hang up; the helper then ends the lease by itself."""
        self.state = ClientState.CLOSED
        self._steps = []
        if self._page is not None:
            self._page.close()
            self._page = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> DvfsClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.release()
        finally:
            self.close()

    def _ask(self, message: bytes) -> dict[str, Any]:
        if self._connection is None:
            raise DaemonError('there is no connection to a helper; acquire the lease first')
        try:
            answer, page_fd = self._connection.ask(message)
        except OSError as error:
            self._lose()
            raise DaemonError(error.errno, f'{self.lost_because} ({error.strerror})') from error
        if page_fd is not None:
            self._page = PageReader(page_fd, len(answer['domains']))
        if not answer['ok']:
            raise DaemonError(answer['error'])
        return answer

    def _lose(self) -> None:
        """The helper is gone or took the lease back: nothing is sent or believed any more."""
        words = '' if self._connection is None else self._connection.last_words()
        self.lost_because = words or 'the helper is gone'
        self.close()
        self.state = ClientState.LOST
