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

"""SIGINT and SIGTERM from a node's first moment on; imports next to nothing.

Python looks at signals between two of its own steps, and a KeyboardInterrupt in the middle of an
import ends in a traceback. So a node is started by :mod:`e4_ros.nodes.__main__`, which calls
:func:`install` before anything heavy is imported:

* while modules are imported nothing exists that would have to be given back: the process ends;
* while the node is made or configured (:func:`interruptible`) `Interrupted` unwinds that, and
  where it cannot, because a library does not come back, the process ends all the same;
* later `ending` is set, and whoever spins the node (:func:`waking`) stops it in order.

The exit status is the same in all three: 0.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

ending = threading.Event()
"""Set once the process is to end."""

_UNWINDING_S = 0.5

_installed = False
_importing = True
_interruptible = False


class Interrupted(BaseException):
    """The process is to end before the node was ready."""


def install() -> None:
    """Take over both signals; calling it again changes nothing."""
    global _installed
    if not _installed:
        _installed = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _on_signal)


def imported() -> None:
    """Say that there will soon be something to give back."""
    global _importing
    _importing = False


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a signal end what happens inside.

    Raises:
        Interrupted: a signal came, before or meanwhile; also where a library took the exception
            for a failure of its own.
    """
    global _interruptible
    if ending.is_set():
        raise Interrupted
    before, _interruptible = _interruptible, True
    try:
        yield
    finally:
        _interruptible = before
        if ending.is_set():
            raise Interrupted


@contextmanager
def waking(wake: Callable[[], object]) -> Iterator[None]:
    """Call `wake` on every signal, in a thread of its own, while the main thread waits for long.

    A wait inside a library, as an executor's, goes on over a signal, and Python looks at that no
    sooner than the wait ends. Short waits would wake a core for nothing.
    """
    signalled, number = socket.socketpair()
    number.setblocking(False)
    thread = threading.Thread(target=_wake, args=(signalled, wake), name='e4-signals', daemon=True)
    thread.start()
    before = signal.set_wakeup_fd(number.fileno())
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        number.close()
        thread.join()
        signalled.close()


def _wake(signalled: socket.socket, wake: Callable[[], object]) -> None:
    while signalled.recv(1):
        wake()


def leave() -> NoReturn:
    """End the process now that everything was given back.

    Half a node may have left threads that nobody ends, and libraries that were just loaded take
    their time to be unloaded.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def _on_signal(_number: int, _frame: object) -> None:
    if _importing:
        os._exit(0)
    ending.set()
    if _interruptible:
        watch = threading.Timer(_UNWINDING_S, _insist)
        watch.daemon = True
        watch.start()
        raise Interrupted


def _insist() -> None:
    if _interruptible:
        os._exit(0)
