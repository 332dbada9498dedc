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

"""One bag as a task: run it on whichever machine, and send back the files that came of it."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e4_ros import __version__
from e4_ros.evaluation.job import Job, JobOptions
from e4_ros.evaluation.source_run import run_source
from e4_ros.evaluation.sources import PACKAGED, Source, SourceError, open_source
from e4_ros.evaluation.sources.packaged import packaged_video
from e4_ros.evaluation.spread.fingerprint import Marks, key_of, marks_of
from e4_ros.evaluation.spread.scratch import make_scratch
from e4_ros.evaluation.spread.workers import Say

_CHUNK = 4 << 20  # bytes of a file that are sent at a time
_EVERY_S = 0.3  # between two words on progress


@dataclass(frozen=True)
class Bag:
    """A source, and what is to be done with it.

    Attributes:
        name: Name of its folder.
        source: What `open_source` takes.
        options: Options of the run.
        limit: Largest number of frames; None for all.
        topic: Image topic of a bag; empty for its only one.
        fps: Frame rate of a folder of images; None for the default.
        version: Version of this package that whoever asks has.
    """

    name: str
    source: str
    options: JobOptions
    limit: int | None = None
    topic: str = ''
    fps: float | None = None
    version: str = __version__

    @property
    def path(self) -> Path:
        """Where the source lies."""
        named = packaged_video(self.source) if self.source in PACKAGED else self.source
        return Path(named).expanduser()

    def open(self, path: Path | None = None) -> Source:
        """The source, or its copy elsewhere.

        Raises:
            SourceError: it cannot be read, or gives other frames each time.
        """
        text = self.source if path is None else str(path)
        source = open_source(text, topic=self.topic or None, fps=self.fps)
        if not source.repeatable:
            raise SourceError(
                f'{self.source} cannot be read again, as it must be when a worker is lost: record '
                'it first, and give the recording'
            )
        return source

    def key(self, marks: Marks) -> str:
        """What its results are recognised by."""
        more = {'limit': self.limit, 'topic': self.topic, 'fps': self.fps}
        return key_of(marks, self.options, more)


def run_bag(say: Say, bag: Bag, copy: Path | None = None) -> None:
    """Run a bag and say, as pairs: ``progress``, each ``file`` in pieces, and at last ``result``.

    Nothing is left behind on the machine that this runs on.

    Args:
        say: Function that receives the pairs.
        bag: The bag.
        copy: Where its source lies, if it was shipped.

    Raises:
        ValueError: the bag cannot be run, and could not be anywhere.
        OSError: a file cannot be read or written.
    """
    began, cpu_s = time.monotonic(), time.process_time()
    host = socket.gethostname()
    if bag.version != __version__:
        raise SourceError(
            f'{host} has e4_ros {__version__}, but {bag.version} asks: install the same on all '
            'machines'
        )
    path = copy or bag.path
    if not path.exists():
        raise SourceError(
            f'{bag.source} does not exist on {host}. Workers read sources where they run: put them '
            'on storage that all machines see under the same path, or give --ship'
        )
    source = bag.open(copy)
    marks = marks_of(path)
    folder = make_scratch()
    try:
        job = Job(bag.options)
        problems: list[str] = []
        outputs = run_source(
            job, source, folder, bag.limit, told=_Progress(say, source.name), warn=problems.append
        )
        for file in sorted(folder.iterdir()):
            _send(say, file)
        say(('result', {
            'key': bag.key(marks), 'marks': marks, 'problems': problems, 'host': host,
            'frames': outputs.summary.frames_processed, 'seconds': time.monotonic() - began,
            'cpu_seconds': time.process_time() - cpu_s,
        }))  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Progress:
    """Says the frames that are answered, now and then."""

    def __init__(self, say: Say, phase: str) -> None:
        self._say, self._phase = say, phase
        self._said_s = 0.0

    def __call__(self, phase: str, done: float, total: float | None, remark: str) -> None:
        now = time.monotonic()
        if phase == self._phase and (now - self._said_s >= _EVERY_S or done == total):
            self._said_s = now
            self._say(('progress', {'done': done, 'total': total, 'pid': os.getpid()}))


def _send(say: Say, file: Path) -> None:
    with file.open('rb') as content:
        while piece := content.read(_CHUNK):
            say(('file', (file.name, piece)))


Result = Mapping[str, Any]
"""What `run_bag` says last: key, marks, problems, host, frames, seconds, cpu_seconds."""
