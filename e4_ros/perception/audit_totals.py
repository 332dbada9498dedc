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

"""Totals of a run's audits; these come after publishing and are part of no latency."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from e4_ros.vision.inference.audit import Audit


@dataclass
class AuditTotals:
    """Sums over a run.

    Attributes:
        counts: exit → number of audits that came to a verdict.
        losses: exit → sum of what its audited answers lost, each in [0, 1].
        switched_off: exit → why an audit disabled it.
        passes: passes of the network for audits, verdict or not.
        seconds: seconds of these passes.
        energy_j: joules of them; NaN where unknown.
    """

    counts: dict[str, int] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    switched_off: dict[str, str] = field(default_factory=dict)
    passes: int = 0
    seconds: float = 0.0
    energy_j: float = 0.0

    @property
    def count(self) -> int:
        """Audits of all exits."""
        return sum(self.counts.values())

    @property
    def means(self) -> dict[str, float]:
        """Mean loss of each exit that was audited, as `quality_lost` has it."""
        return {name: self.losses[name] / count for name, count in self.counts.items()}

    def add(self, audit: Audit, energy_j: float) -> None:
        """Take down one pass for an audit, its verdict if there is one, and the joules it cost."""
        name = audit.exit
        self.passes += 1
        self.seconds += audit.passed.latency_s
        self.energy_j += energy_j
        if audit.loss is None:
            return
        self.counts = self.counts | {name: self.counts.get(name, 0) + 1}
        self.losses = self.losses | {name: self.losses.get(name, 0.0) + audit.loss}
        if audit.switched_off:
            self.switched_off = self.switched_off | {name: audit.switched_off}

    def facts(self) -> dict[str, str]:
        """As keys and values of a diagnostics message."""
        known = {} if math.isnan(self.energy_j) else {'audit_energy_j': f'{self.energy_j:.6g}'}
        return {
            'audits': str(self.count),
            'audit_passes': str(self.passes),
            'audit_s': f'{self.seconds:.6g}',
            **known,
            **{f'audits.{name}': str(count) for name, count in self.counts.items()},
            **{f'audit_loss.{name}': f'{mean:.4f}' for name, mean in self.means.items()},
            **{f'off.{name}': reason for name, reason in self.switched_off.items()},
        }

    @classmethod
    def of_facts(cls, facts: Mapping[str, str]) -> AuditTotals:
        """The inverse of `facts`; other keys are ignored."""
        counts = {name: int(text) for name, text in _under('audits.', facts)}
        means = {name: float(text) for name, text in _under('audit_loss.', facts)}
        return cls(
            counts,
            {name: means.get(name, 0.0) * count for name, count in counts.items()},
            dict(_under('off.', facts)),
            int(facts.get('audit_passes', 0)),
            float(facts.get('audit_s', 0.0)),
            float(facts.get('audit_energy_j', math.nan)),
        )


def _under(prefix: str, facts: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (key.removeprefix(prefix), text) for key, text in facts.items() if key.startswith(prefix)
    ]
