"""Paced playback: the thread from which both `video_source` and `replay` publish."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar('T')


@dataclass(frozen=True)
class Pace:
    """Settings of a playback.

    Attributes:
        speed: Factor on the items' own pace; 2.0 is twice as fast.
        loop: Whether to start again at the end.
    """

    speed: float = 1.0
    loop: bool = False


class Player(Generic[T]):
    """Hands items out when they are due, in a thread of its own.

    An item that is late is handed out at once and moves the ones after it, so that a slow consumer
    slows the play down instead of being flooded afterwards.

    Args:
        open_items: Function that returns, for every round, an iterable of ``(time_s, item)`` with
            times that do not decrease.
        emit: Function that receives each item when it is due.
        ready: Function that is called, before the first item, until it returns True.
        finished: Function that receives the exception that ended the playback, or None at the
            regular end. Not called after :meth:`stop`.
    """

    def __init__(
        self,
        open_items: Callable[[], Iterable[tuple[float, T]]],
        emit: Callable[[float, T], None],
        pace: Pace,
        ready: Callable[[], bool],
        finished: Callable[[Exception | None], None],
    ) -> None:
        self._open_items = open_items
        self._emit = emit
        self._pace = pace
        self._ready = ready
        self._finished = finished
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='player', daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End after the current item."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        error: Exception | None = None
        try:
            while not self._stopped.is_set() and not self._ready():
                self._stopped.wait(0.05)
            self._play_round()
            while self._pace.loop and not self._stopped.is_set():
                self._play_round()
        except Exception as caught:
            error = caught
        if not self._stopped.is_set():
            self._finished(error)

    def _play_round(self) -> None:
        start: float | None = None
        for time_s, item in self._open_items():
            due = time_s / self._pace.speed
            now = time.monotonic()
            # `start` is when the item of time 0 was, or would have been, handed out.
            start = now - due if start is None else max(start, now - due)
            if self._stopped.wait(max(0.0, start + due - now)):
                return
            self._emit(time_s, item)
