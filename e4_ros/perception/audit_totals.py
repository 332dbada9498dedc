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
        counts: exit → number of audits.
        disagreements: exit → sum of the disagreements with the full network, each in [0, 1].
        switched_off: exit → why an audit disabled it.
        seconds: seconds of the full network's computation.
        energy_j: joules of it; NaN where unknown.
    """

    counts: dict[str, int] = field(default_factory=dict)
    disagreements: dict[str, float] = field(default_factory=dict)
    switched_off: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    energy_j: float = 0.0

    @property
    def count(self) -> int:
        """Audits of all exits."""
        return sum(self.counts.values())

    @property
    def means(self) -> dict[str, float]:
        """Mean disagreement of each exit that was audited."""
        return {name: self.disagreements[name] / count for name, count in self.counts.items()}

    def add(self, audit: Audit, energy_j: float) -> None:
        """Take down one audit and the joules that it cost."""
        name = audit.exit
        self.counts = self.counts | {name: self.counts.get(name, 0) + 1}
        before = self.disagreements.get(name, 0.0)
        self.disagreements = self.disagreements | {name: before + audit.disagreement}
        if audit.switched_off:
            self.switched_off = self.switched_off | {name: audit.switched_off}
        self.seconds += audit.full.latency_s
        self.energy_j += energy_j

    def facts(self) -> dict[str, str]:
        """As keys and values of a diagnostics message."""
        known = {} if math.isnan(self.energy_j) else {'audit_energy_j': f'{self.energy_j:.6g}'}
        return {
            'audits': str(self.count),
            'audit_s': f'{self.seconds:.6g}',
            **known,
            **{f'audits.{name}': str(count) for name, count in self.counts.items()},
            **{f'audit_disagreement.{name}': f'{mean:.4f}' for name, mean in self.means.items()},
            **{f'off.{name}': reason for name, reason in self.switched_off.items()},
        }

    @classmethod
    def of_facts(cls, facts: Mapping[str, str]) -> AuditTotals:
        """The inverse of `facts`; other keys are ignored."""
        counts = {name: int(text) for name, text in _under('audits.', facts)}
        means = {name: float(text) for name, text in _under('audit_disagreement.', facts)}
        return cls(
            counts,
            {name: means.get(name, 0.0) * count for name, count in counts.items()},
            dict(_under('off.', facts)),
            float(facts.get('audit_s', 0.0)),
            float(facts.get('audit_energy_j', math.nan)),
        )


def _under(prefix: str, facts: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (key.removeprefix(prefix), text) for key, text in facts.items() if key.startswith(prefix)
    ]
