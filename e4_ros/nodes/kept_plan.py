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

"""The plan that was set while perception ran, kept for its next start."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from e4_ros.energy.plan import FrequencyPlan
from e4_ros.files import write_whole
from e4_ros.paths import state_dir
from e4_ros.profiling.planning.identity import Identity


class KeptPlan:
    """A copy of the plan file that somebody, such as the profiler, set while a node ran.

    A parameter that is set lasts as long as its process; a plan that was searched for a robot is
    to be in force after its next start as well, whatever became of the file. It was searched for a
    power mode and a network, though; beside the copy stands for which.

    Args:
        node: Fully qualified name of the node.

    Attributes:
        path: Where the copy is, or would be.
    """

    def __init__(self, node: str) -> None:
        self.path = state_dir() / 'plans' / f'{node.strip("/").replace("/", ".")}.yaml'
        self._about = self.path.with_suffix('.json')

    @property
    def file(self) -> str:
        """Its path; empty where none is kept."""
        return str(self.path) if self.path.is_file() else ''

    def differs(self, here: Identity) -> str:
        """What it was set for, in words, if not for ``here``; empty where that is not known."""
        try:
            kept = Identity(**json.loads(self._about.read_text()))
        except (OSError, TypeError, ValueError):
            return ''
        return kept.differs(here)

    def keep(self, file: str, here: Identity | None = None) -> None:
        """Keep a copy of a plan file; an empty name keeps none any more.

        Args:
            file: Path of the plan file.
            here: What it is set for; None: nobody knows.

        Raises:
            PlanError: the file holds no plan.
            OSError: it cannot be read, or the copy cannot be written.
        """
        if file == str(self.path):
            return
        plan = FrequencyPlan.load(Path(file).expanduser()) if file else None
        self._about.unlink(missing_ok=True)
        if plan is None:
            self.path.unlink(missing_ok=True)
            return
        plan.save(self.path)
        if here is not None:
            write_whole(self._about, json.dumps(asdict(here)))
