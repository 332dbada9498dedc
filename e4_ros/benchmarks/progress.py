"""One bar for each phase of a benchmark, added when the phase begins."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TaskID as Task


class Phases:
    """Call it with the phase, what is done and how much there is.

    Args:
        bars: from `phase_bars`, running.
    """

    def __init__(self, bars: Progress):
        self._bars = bars
        self._tasks: dict[str, Task] = {}

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Show how far a phase has come."""
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(phase, total=total)
        self._bars.update(self._tasks[phase], completed=done, total=total)

    def wait(self, phase: str, what: str) -> None:
        """Show that something of unknown length goes on."""
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(phase, total=None)
        self._bars.update(self._tasks[phase], description=f'{phase} {what}')


def phase_bars() -> Progress:
    """Bars on standard error, so that what a benchmark prints can be piped."""
    from rich.console import Console

    return Progress(
        TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
