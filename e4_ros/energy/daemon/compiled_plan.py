"""A compiled plan: the target of each step, and the bare writes from one target to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.errors import Write
from e4_ros.energy.plan import FrequencyPlan

Setting = tuple[int, Domain, int]
"""Slot of the domain on the status page, the domain, and its frequency in hertz."""


class Transition(NamedTuple):
    """The change from one target to another.

    Attributes:
        writes: the writes for the domains whose frequency differs, in an order that the kernel
            accepts.
        settings: the same domains with their new frequencies.
    """

    writes: tuple[Write, ...]
    settings: tuple[Setting, ...]


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
        """The (remembered) transition to another target; None if a domain has no bare writes."""
        if (known := self.transitions.get(other)) is not None:
            return known
        writes: list[Write] = []
        settings = []
        for (slot, domain, before_hz), (_, _, hertz) in zip(self.point, other.point, strict=True):
            if hertz != before_hz:
                needed = domain.transition_writes(before_hz, hertz)
                if not needed:
                    return None
                writes += needed
                settings.append((slot, domain, hertz))
        self.transitions[other] = Transition(tuple(writes), tuple(settings))
        return self.transitions[other]


def compile_plan(plan: FrequencyPlan, domains: Mapping[str, Domain]) -> list[list[Target | None]]:
    """Targets by exit index and segment index; None where the plan has no operating point."""
    slots = {name: slot for slot, name in enumerate(domains)}
    shared: dict[tuple[int, ...], Target] = {}

    def target(point: Mapping[str, int]) -> Target:
        key = tuple(point[name] for name in plan.domains)
        if key not in shared:
            shared[key] = Target(tuple((slots[n], domains[n], point[n]) for n in plan.domains))
        return shared[key]

    table: list[list[Target | None]] = []
    for path in plan.paths.values():
        row: list[Target | None] = [None] * len(plan.segments)
        for segment, point in zip(path.segments, path.points, strict=True):
            row[segment] = target(point)
        table.append(row)
    return table


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
