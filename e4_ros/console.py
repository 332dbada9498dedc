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

"""What a person sees on the terminal: results on stdout; errors, notes and progress on stderr."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

STDERR = Console(stderr=True)
_PIPED_WIDTH = 120  # columns of a table that goes into a file or a pipe


def stdout() -> Console:
    """Where results go; a table in a pipe is as wide as its figures need."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def error(message: str) -> None:
    """Say why a command failed, as one `error:` line; what was said is printed as it stands."""
    _say('[bold red]error:[/]', message)


def warn(message: str) -> None:
    """Say what a user should know although the command goes on."""
    _say('[yellow]warning:[/]', message)


def note(message: str) -> None:
    """Say what goes on."""
    _say('[dim]note:[/]', message)


def _say(label: str, message: str) -> None:
    STDERR.print(f'{label} {escape(message)}', highlight=False, soft_wrap=True)


class Phases:
    """Progress bars for the phases of a long job, one for each, added when the phase begins.

    ::

        with Phases() as phases:
            phases('clips', done=3, total=120)

    Args:
        keep: Whether the bars stay on the screen, or in the log, when the job is done.
        shown: Whether there are bars at all; of several processes only one shows them.
        thread: Whether a thread redraws them; without it they change when a phase does, which a
            process that forks needs.
    """

    def __init__(self, *, keep: bool = False, shown: bool = True, thread: bool = True):
        self._thread = thread
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn('[dim]{task.fields[remark]}'),
            console=STDERR,
            transient=not keep,
            disable=not (shown and (keep or STDERR.is_terminal)),
            auto_refresh=thread,
        )

    def __enter__(self) -> Phases:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def __call__(self, phase: str, done: float, total: float | None, remark: str = '') -> None:
        """Show how far a phase has come.

        Args:
            phase: Name of the phase, which is also the name of its bar.
            done: How much of it is done.
            total: How much there is; None where nobody knows yet.
            remark: A few words behind the bar.
        """
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(escape(phase), total=total, remark='')
        self._bars.update(self._tasks[phase], completed=done, total=total, remark=escape(remark))
        if not self._thread:
            self._bars.refresh()
