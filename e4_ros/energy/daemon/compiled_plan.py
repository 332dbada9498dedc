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

"""A compiled plan: the target of each step, and the bare writes from one target to another.

Several leases want several targets at the same time; what the clocks get is a target, too, made
once for each combination that comes up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.errors import Check, Write
from e4_ros.energy.plan import FrequencyPlan

Setting = tuple[int, Domain, int]
"""Slot of the domain on the status page, the domain, and its frequency in hertz."""

Table = list[list['Target | None']]
"""Targets by exit index and segment index; None where the plan has no operating point."""

_MOST_COMBINATIONS = 4096


class Transition(NamedTuple):
    """The change from one target to another.

    Attributes:
        writes: the writes for the domains whose frequency differs, in an order that the kernel
            accepts.
        settings: the same domains with their new frequencies.
        checks: what the files that the writes replace hold, if nobody else wrote them meanwhile.
    """

    writes: tuple[Write, ...]
    settings: tuple[Setting, ...]
    checks: tuple[Check, ...]


@dataclass(eq=False)
class Target:
    """An operating point; equal points of a plan share one object, compared by identity.

    Attributes:
        point: the setting of each domain.
        transitions: the transitions to other targets that were used so far. They hold open
            descriptors, so a target is valid as long as its domains stay open.
    """

    point: tuple[Setting, ...]
    transitions: dict[Target, Transition] = field(default_factory=dict)

    def transition_to(self, other: Target) -> Transition | None:
        """The (remembered) transition to another target.

        None if that has other domains, or one without bare writes.
        """
        if (known := self.transitions.get(other)) is not None:
            return known
        if [slot for slot, _, _ in self.point] != [slot for slot, _, _ in other.point]:
            return None
        writes: list[Write] = []
        settings: list[Setting] = []
        checks: list[Check] = []
        for (slot, domain, before_hz), (_, _, hertz) in zip(self.point, other.point, strict=True):
            if hertz != before_hz:
                needed = domain.transition_writes(before_hz, hertz)
                if not needed:
                    return None
                writes += needed
                checks += domain.transition_checks(before_hz)
                settings.append((slot, domain, hertz))
        self.transitions[other] = Transition(tuple(writes), tuple(settings), tuple(checks))
        return self.transitions[other]


class SharedTargets:
    """The targets of several leases together: each domain's highest frequency among them."""

    def __init__(self) -> None:
        self._of: dict[tuple[Target, ...], Target] = {}
        self._with: dict[tuple[Setting, ...], Target] = {}

    def highest(self, targets: tuple[Target, ...]) -> Target:
        """The target of all; equal points share one object, so that no switch is made for nothing.

        Args:
            targets: what each lease wants; not empty.
        """
        if len(targets) == 1:
            return targets[0]
        if (known := self._of.get(targets)) is not None:
            return known
        if len(self._of) >= _MOST_COMBINATIONS:
            self.clear()
        highest: dict[int, Setting] = {}
        for slot, domain, hertz in (setting for target in targets for setting in target.point):
            if slot not in highest or hertz > highest[slot][2]:
                highest[slot] = (slot, domain, hertz)
        point = tuple(highest[slot] for slot in sorted(highest))
        if point not in self._with:
            self._with[point] = next((t for t in targets if t.point == point), Target(point))
        self._of[targets] = self._with[point]
        return self._of[targets]

    def clear(self) -> None:
        """Forget all, and all transitions to it: a plan, or a domain's descriptors, are others."""
        for target in {*self._of.values(), *(t for targets in self._of for t in targets)}:
            target.transitions.clear()
        self._of.clear()
        self._with.clear()


def compile_plan(plan: FrequencyPlan, domains: Mapping[str, Domain]) -> Table:
    """The targets of a plan's steps; domains in their own order, whatever the plan's is.

    A frequency outside a domain's limits of now becomes the next one within them.
    """
    slots = {name: slot for slot, name in enumerate(domains)}
    shared: dict[tuple[int, ...], Target] = {}

    def target(point: Mapping[str, int]) -> Target:
        key = tuple(domains[name].clamped(point[name]) for name in plan.domains)
        if key not in shared:
            pairs = zip(plan.domains, key, strict=True)
            settings = ((slots[name], domains[name], hertz) for name, hertz in pairs)
            shared[key] = Target(tuple(sorted(settings, key=itemgetter(0))))
        return shared[key]

    table: Table = []
    for path in plan.paths.values():
        row: list[Target | None] = [None] * len(plan.segments)
        for segment, point in zip(path.segments, path.points, strict=True):
            row[segment] = target(point)
        table.append(row)
    return table


def within(
    domains: Mapping[str, Domain], limits_hz: Mapping[str, tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """As `narrowed`, of limits that may have changed since; the machine's own count for more.

    Where they leave a domain none of what the configuration asks for, the nearest that they allow
    is left.
    """
    result = {}
    for name, domain in domains.items():
        given = limits_hz.get(name, domain.limits_hz)
        low, high = max(given[0], domain.limits_hz[0]), min(given[1], domain.limits_hz[1])
        if not any(low <= hz <= high for hz in domain.frequencies_hz):
            low = high = domain.clamped(given[0])
        result[name] = (low, high)
    return result


def narrowed(
    domains: Mapping[str, Domain], limits_hz: Mapping[str, tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """The intersection of each domain's own limits and the given ones, in hertz.

    Args:
        domains: domain name → domain.
        limits_hz: domain name → lowest and highest frequency; a missing domain is not narrowed.

    Returns:
        Domain name → lowest and highest frequency.

    Raises:
        ValueError: limits for a domain that is not there, or that leave one no frequency.
    """
    unknown = sorted(set(limits_hz) - set(domains))
    if unknown:
        raise ValueError(
            f'limits for unknown domain {", ".join(unknown)}; this board has '
            f'{", ".join(domains) or "none"}'
        )
    result = {}
    for name, domain in domains.items():
        given = limits_hz.get(name, domain.limits_hz)
        low, high = max(given[0], domain.limits_hz[0]), min(given[1], domain.limits_hz[1])
        if not any(low <= f <= high for f in domain.frequencies_hz):
            raise ValueError(
                f'the limits {given[0]} to {given[1]} Hz leave {name} no frequency; the machine '
                f'allows {domain.limits_hz[0]} to {domain.limits_hz[1]} Hz'
            )
        result[name] = (low, high)
    return result
