"""The plan that was set while perception ran, kept for its next start."""

from __future__ import annotations

from pathlib import Path

from e4_ros.energy.plan import FrequencyPlan
from e4_ros.paths import state_dir


class KeptPlan:
    """A copy of the plan file that somebody, such as the profiler, set while a node ran.

    A parameter that is set lasts as long as its process; a plan that was searched for a robot is
    to be in force after its next start as well, whatever became of the file.

    Args:
        node: Fully qualified name of the node.

    Attributes:
        path: Where the copy is, or would be.
    """

    def __init__(self, node: str) -> None:
        self.path = state_dir() / 'plans' / f'{node.strip("/").replace("/", ".")}.yaml'

    @property
    def file(self) -> str:
        """Its path; empty where none is kept."""
        return str(self.path) if self.path.is_file() else ''

    def keep(self, file: str) -> None:
        """Keep a copy of a plan file; an empty name keeps none any more.

        Raises:
            PlanError: the file holds no plan.
            OSError: it cannot be read, or the copy cannot be written.
        """
        if not file:
            self.path.unlink(missing_ok=True)
        elif file != str(self.path):
            FrequencyPlan.load(Path(file).expanduser()).save(self.path)
