"""A one-slot buffer that keeps the newest item, and the one thread that empties it.

A camera does not wait for a network. What cannot be processed in time is replaced by what came
after it, so the delay never grows, and whoever fills the slot learns what was replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar('T')


class NewestSlot(Generic[T]):
    """Holds at most one item: the newest."""

    def __init__(self) -> None:
        self._item: T | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> T | None:
        """Store ``item``.

        Returns:
            The item that will not be taken: the one replaced, ``item`` itself when the slot is
            closed, or None.
        """
        with self._changed:
            if self._closed:
                return item
            replaced, self._item = self._item, item
            self._changed.notify()
            return replaced

    @property
    def waiting(self) -> int:
        """Number of items that wait: 0 or 1."""
        return int(self._item is not None)

    def take(self) -> T | None:
        """Wait for an item and remove it; None once the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return item

    def close(self) -> T | None:
        """Let :meth:`take` return None from now on, and return the item nobody took."""
        with self._changed:
            self._closed = True
            item, self._item = self._item, None
            self._changed.notify_all()
            return item


class FrameWorker(Generic[T]):
    """Runs ``work`` on the newest item in a thread of its own.

    ``work`` handles its own errors; one that escapes goes to ``failed`` and the thread goes on.
    """

    def __init__(
        self,
        work: Callable[[T], None],
        dropped: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._work = work
        self._dropped = dropped
        self._failed = failed
        self._slot: NewestSlot[T] = NewestSlot()
        self._thread = threading.Thread(target=self._run, name='frame-worker', daemon=True)
        self._thread.start()

    def submit(self, item: T) -> None:
        """Hand over an item without waiting; ``dropped`` gets the one it replaces."""
        replaced = self._slot.put(item)
        if replaced is not None:
            self._dropped(replaced)

    @property
    def waiting(self) -> int:
        """Number of items that wait for their turn: 0 or 1."""
        return self._slot.waiting

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Finish the item in work, drop the one that waits, end the thread.

        Returns:
            False when the thread was still busy after ``timeout_s``.
        """
        waiting = self._slot.close()
        if waiting is not None:
            self._dropped(waiting)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._slot.take()) is not None:
            try:
                self._work(item)
            except Exception as error:
                self._failed(error)
