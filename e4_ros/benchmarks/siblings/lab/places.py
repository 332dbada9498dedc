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

"""Where a process of the laboratory runs: on this machine as it is, or in a namespace.

A namespace here has no name: it belongs to a process that only reads from us, so that it ends with
us, however we end.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from e4_ros.benchmarks.node_processes import StartError

if TYPE_CHECKING:
    from typing_extensions import Self

_PATIENCE_S = 120.0


def dies_with_us() -> list[str]:
    """Prefix of a command whose process is killed when the thread that started it ends."""
    setpriv = shutil.which('setpriv')
    return [setpriv, '--pdeathsig', 'KILL', '--'] if setpriv else []


class Place:
    """The machine as it is."""

    def command(self, command: Sequence[str]) -> list[str]:
        """What runs a command here; its process ends with us."""
        return [*dies_with_us(), *command]

    def run(self, *command: str, text: str | None = None) -> str:
        """Run a short command here, and return what it said.

        Raises:
            OSError: it failed; with its words.
        """
        done = subprocess.run(
            self.command(command), input=text, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OSError(f'{" ".join(command)}: {(done.stderr or done.stdout).strip()[-300:]}')
        return done.stdout


class NamespacePlace(Place):
    """A network namespace of its own.

    Args:
        inside: place whose user namespace is used; None makes one where we are not root.

    Raises:
        OSError: the kernel does not let us.
    """

    def __init__(self, inside: NamespacePlace | None = None) -> None:
        self._as_root = os.geteuid() == 0
        new = ['unshare', '--net']
        if not self._as_root and inside is None:
            new = ['unshare', '--user', '--map-root-user', '--net']
        before = [] if self._as_root or inside is None else inside._enter('--user')
        # `cat` ends with its input, and that is ours: it ends with us even if we are killed.
        self._keeper = subprocess.Popen(
            [*before, *new, 'cat'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.write(b'here\n')
            self._keeper.stdin.flush()
        if self._keeper.stdout.readline() != b'here\n':
            words = self._keeper.communicate()[1].decode(errors='replace').strip()
            raise OSError(f'no network namespace: {words}')
        self.pid = self._keeper.pid
        self.run('ip', 'link', 'set', 'lo', 'up')

    def command(self, command: Sequence[str]) -> list[str]:
        """What runs a command here; its process ends with us."""
        kinds = ['--net'] if self._as_root else ['--user', '--net']
        return [*self._enter(*kinds), *dies_with_us(), *command]

    def close(self) -> None:
        """End the namespace, once nothing runs in it any more."""
        self._keeper.communicate()

    def _enter(self, *kinds: str) -> list[str]:
        pid = self.pid
        credentials = ['--preserve-credentials'] if '--user' in kinds else []
        return ['nsenter', '--target', str(pid), *kinds, *credentials, '--']


@dataclass(frozen=True)
class Event:
    """A line of JSON that a process printed.

    Attributes:
        at_s: when it came, in seconds of CLOCK_MONOTONIC.
        said: what it says.
    """

    at_s: float
    said: dict[str, Any]

    @property
    def name(self) -> str:
        """What it is called; empty for one that is no event."""
        return str(self.said.get('event') or self.said.get('state') or '')


class Running:
    """A process of the laboratory that tells by lines of JSON what happens; ends with the block.

    Args:
        place: where it runs.
        command: what runs.
        env: added to our environment.
        listener: called with each line of JSON, in a thread of its own.
        keeps: descriptors of ours that it has, too.
    """

    def __init__(
        self,
        place: Place,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        listener: Callable[[Event], None] | None = None,
        keeps: Sequence[int] = (),
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._events: list[Event] = []
        self._news = threading.Condition()
        self._listener = listener
        self._process = subprocess.Popen(
            place.command(command),
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for us
            pass_fds=keeps,
        )
        self._reader = threading.Thread(target=self._read, name='events', daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Of the process; its children are not told."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def tell(self, words: Mapping[str, Any]) -> None:
        """Write a line of JSON to its input; one that has ended does not mind."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(json.dumps(words).encode() + b'\n')
            self._process.stdin.flush()

    def wait_for(self, event: str, patience_s: float = _PATIENCE_S, nth: int = 1) -> Event:
        """The n-th line of JSON whose ``event`` or ``state`` is this, also one that came before.

        Raises:
            StartError: it ended before, or took too long.
        """
        until_s = time.monotonic() + patience_s
        with self._news:
            while True:
                found = [each for each in self._events if each.name == event]
                if len(found) >= nth:
                    return found[nth - 1]
                if not self._reader.is_alive():
                    raise StartError(
                        f'no {event!r}: it ended with {self._process.wait()}; {self.words()}'
                    )
                if time.monotonic() > until_s:
                    raise StartError(f'no {event!r} within {patience_s:.0f} s; {self.words()}')
                self._news.wait(min(0.2, max(until_s - time.monotonic(), 0.001)))

    def has_said(self, event: str) -> bool:
        """Whether a line of JSON of this ``event`` or ``state`` has come."""
        with self._news:
            return any(each.name == event for each in self._events)

    def wait(self, patience_s: float) -> int:
        """Wait until it ends, and return how.

        Raises:
            StartError: it took too long.
        """
        try:
            status = self._process.wait(patience_s)
        except subprocess.TimeoutExpired as error:
            raise StartError(f'it runs on after {patience_s:.0f} s; {self.words()}') from error
        self._reader.join(5)
        return status

    def kill(self) -> None:
        """Kill it, as a crash does."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Ask it to end, then insist."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        self._reader.join(5)
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()

    def words(self) -> str:
        """The end of what it said to stderr."""
        self._errors.seek(0)
        return self._errors.read().decode(errors='replace').strip()[-1500:]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if not isinstance(said, dict):
                continue
            event = Event(time.monotonic(), said)
            if self._listener is not None:
                self._listener(event)
            with self._news:
                if event.name:
                    self._events.append(event)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


def python(module: str, *words: str) -> list[str]:
    """Command that runs a module of ours."""
    return [sys.executable, '-m', module, *words]
