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

"""Paced playback: the thread from which both `video_source` and `replay` publish."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar('T')


@dataclass(frozen=True)
class Pace:
    """Settings of a playback.

    Attributes:
        speed: Factor on the items' own pace; 2.0 is twice as fast.
        loop: Whether to start again at the end.
        paused: Whether to begin paused.
    """

    speed: float = 1.0
    loop: bool = False
    paused: bool = False


def paced(items: Iterable[tuple[float, T]]) -> Iterator[tuple[float, T]]:
    """Hand items on no sooner than their times say, as a camera would.

    An item that is late comes at once and moves the ones after it.
    """
    origin: float | None = None
    for time_s, item in items:
        now_s = time.monotonic()
        if origin is None or time_s + origin < now_s:
            origin = now_s - time_s
        time.sleep(max(origin + time_s - now_s, 0.0))
        yield time_s, item


class Player(Generic[T]):
    """Hands items out when they are due, in a thread of its own.

    An item that is late is handed out at once and moves the ones after it, so that a slow consumer
    slows the play down instead of being flooded afterwards. All methods may be called from any
    thread.

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
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._paused = pace.paused
        self._step_ends: Callable[[T], bool] | None = None
        # When the item of time 0 was, or would have been, handed out; None until there was one.
        self._origin: float | None = None
        self._reached = self._next = 0.0
        self._thread = threading.Thread(target=self._run, name='player', daemon=True)

    @property
    def is_paused(self) -> bool:
        """Whether it waits for :meth:`resume` or :meth:`step`."""
        return self._paused

    @property
    def time_s(self) -> float:
        """Time of the items that is reached: between two of them it goes on at the pace.

        It never passes an item that was not handed out, and stands still while paused; it goes
        back alone where a round begins anew.
        """
        with self._changed:
            return self._position()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def pause(self) -> None:
        """Stand still before the next item."""
        with self._changed:
            self._reached = self._position()
            self._paused, self._step_ends = True, None
            self._changed.notify_all()

    def resume(self) -> None:
        """Go on where it stood still."""
        with self._changed:
            if self._paused:
                self._paused = False
                self._set_origin(self._reached)
            self._changed.notify_all()

    def step(self, ends: Callable[[T], bool]) -> None:
        """While paused, hand out what comes up to and with the next item that ``ends`` accepts."""
        with self._changed:
            self._step_ends = ends
            self._changed.notify_all()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End after the current item."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
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
        self._origin = None
        for time_s, item in self._open_items():
            if not self._wait(time_s):
                return
            self._emit(time_s, item)
            with self._changed:
                if self._step_ends is not None and self._step_ends(item):
                    self._step_ends = None

    def _wait(self, time_s: float) -> bool:
        """Wait until an item is due; False where the play ends before."""
        with self._changed:
            self._next = time_s
            if self._origin is None:
                self._reached = time_s
                self._set_origin(time_s)
            while not self._stopped.is_set():
                if self._paused:
                    if self._step_ends is not None:
                        self._reached = time_s
                        return True
                    self._changed.wait()
                    continue
                assert self._origin is not None
                left_s = self._origin + time_s / self._pace.speed - time.monotonic()
                if left_s <= 0:
                    self._origin -= left_s  # a late item moves the ones after it
                    return True
                self._changed.wait(left_s)
            return False

    def _position(self) -> float:
        if self._paused or self._origin is None:
            return self._reached
        return min((time.monotonic() - self._origin) * self._pace.speed, self._next)

    def _set_origin(self, time_s: float) -> None:
        self._origin = time.monotonic() - time_s / self._pace.speed
