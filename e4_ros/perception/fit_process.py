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

"""A fit in a process of its own, of the lowest priority, which ends with whoever started it.

Perception has no torch, and no time: `e4 fit --from-ring` learns beside it, on what it leaves idle.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

Progress = Callable[[str, int, int], None]

_END_S = 5.0  # from a signal that asks to one that insists


class FitFailed(RuntimeError):  # noqa: N818
    """There is no new bundle; says why."""


@dataclass(frozen=True)
class FitRequest:
    """What to fit.

    Attributes:
        ring: ring of key frames to learn from.
        model: network that gets the exits, as `e4 fit --model` takes it.
        out: folder for the new bundle.
        frames: newest frames to learn from.
        risk: mean loss a frame that is fine.
        confidence: probability that this holds.
        more: further options of `e4 fit`.
    """

    ring: Path
    model: str
    out: Path
    frames: int
    risk: float = 0.1
    confidence: float = 0.95
    more: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """Arguments of the `e4` command."""
        return [
            'fit', '--from-ring', str(self.ring), '--model', self.model, '--out', str(self.out),
            '--frames', str(self.frames), '--certify', str(self.risk),
            '--confidence', str(self.confidence), *self.more,
        ]  # fmt: skip


class FitProcess:
    """One fit; `run` waits for it, `cancel` may come from another thread.

    Args:
        request: what to fit.
        progress: function that receives the phase, the steps done and their number, in the thread
            of `run`.
        limit_s: seconds that it may take; 0 for as long as it likes.
    """

    def __init__(self, request: FitRequest, progress: Progress, limit_s: float = 0.0) -> None:
        self._request, self._progress, self._limit_s = request, progress, limit_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_by = ''

    def run(self) -> dict[str, Any]:
        """Fit, and wait for it.

        The process ends with the *thread* that starts it, by Linux's rules; so this waits.

        Returns:
            What `e4 fit` says of it: ``bundle``, ``frames`` and the fields of a `RingVerdict`.

        Raises:
            FitFailed: it failed, was cancelled, or took too long.
        """
        read, write = os.pipe()
        with os.fdopen(read) as lines, tempfile.TemporaryFile() as words:
            try:
                self._start(write, words)
            finally:
                os.close(write)
            timer = threading.Timer(self._limit_s, self._end, [f'not done in {self._limit_s:g} s'])
            timer.daemon = True
            if self._limit_s:
                timer.start()
            result = self._listen(lines)
            timer.cancel()
            return self._outcome(result, words)

    def cancel(self) -> None:
        """End it; `run` then raises."""
        self._end('cancelled')

    def _start(self, write: int, words: IO[bytes]) -> None:
        arguments = [*self._request.arguments, '--progress-fd', str(write)]
        with self._lock:
            if self._ended_by:
                raise FitFailed(self._ended_by)
            try:
                self._process = subprocess.Popen(
                    [*_in_background(), sys.executable, '-m', 'e4_ros.cli', *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=words,
                    stderr=words,
                    pass_fds=(write,),
                    start_new_session=True,  # Ctrl-C is for whoever started it
                )
            except OSError as error:
                raise FitFailed(f'the fit cannot be started: {error}') from None

    def _listen(self, lines: IO[str]) -> dict[str, Any] | None:
        result = None
        for line in lines:
            told = json.loads(line)
            if 'result' in told:
                result = told['result']
            else:
                self._progress(told['phase'], told['done'], told['total'])
        return result

    def _outcome(self, result: dict[str, Any] | None, words: IO[bytes]) -> dict[str, Any]:
        assert self._process is not None
        status = self._process.wait()
        if self._ended_by:
            raise FitFailed(self._ended_by)
        if status or result is None:
            words.seek(0)
            said = words.read().decode(errors='replace').strip().splitlines()
            error = next((line for line in said[::-1] if line.startswith('error: ')), '')
            raise FitFailed(error.removeprefix('error: ') or _how(status, said))
        return result

    def _end(self, why: str) -> None:
        with self._lock:
            self._ended_by = self._ended_by or why
            process = self._process
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                return
            until_s = time.monotonic() + _END_S
            while time.monotonic() < until_s and process.poll() is None:
                time.sleep(0.05)


def _how(status: int, said: list[str]) -> str:
    if status < 0:
        return f'the fit was ended by {signal.Signals(-status).name}'
    return f'the fit ended with {status}: ' + ' '.join(said[-3:])


def _in_background() -> list[str]:
    """Prefix that gives a process what others leave idle, and ends it with us, killed or not."""
    words: list[str] = []
    if setpriv := shutil.which('setpriv'):
        words += [setpriv, '--pdeathsig', 'KILL', '--']
    if nice := shutil.which('nice'):
        words += [nice, '-n', '19']
    if chrt := shutil.which('chrt'):
        words += [chrt, '--idle', '0']
    return words
