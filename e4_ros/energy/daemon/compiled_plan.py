"""A plan made ready for stepping: where each step leads, and the bare writes that lead there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.errors import Write
from e4_ros.energy.plan import FrequencyPlan

Clock = tuple[int, Domain, int]
"""Slot of a domain on the status page, the domain, and its hertz."""


class Way(NamedTuple):
    """From one target to another.

    Attributes:
        writes: of the domains whose frequency differs, in an order that the kernel takes.
        clocks: (slot, domain, hertz) of the same domains.
    """

    writes: tuple[Write, ...]
    clocks: tuple[Clock, ...]


@dataclass(eq=False)
class Target:
    """An operating point; equal points of a plan share one object, compared by identity.

    Attributes:
        point: each domain's clock.
        ways: from here to other targets, as far as they were used. They hold open descriptors, so
            a target lives as long as its domains stay open.
    """

    point: tuple[Clock, ...]
    ways: dict[Target, Way] = field(default_factory=dict)

    def way_to(self, other: Target) -> Way | None:
        """Work out, and remember, the way to another; None where a domain has no bare writes."""
        writes: list[Write] = []
        clocks = []
        for (slot, domain, before_hz), (_, _, hertz) in zip(self.point, other.point, strict=True):
            if hertz != before_hz:
                moves = domain.moves(before_hz, hertz)
                if not moves:
                    return None
                writes += moves
                clocks.append((slot, domain, hertz))
        self.ways[other] = Way(tuple(writes), tuple(clocks))
        return self.ways[other]


def compile_plan(plan: FrequencyPlan, domains: Mapping[str, Domain]) -> list[list[Target | None]]:
    """Targets by path index and segment index; None where the plan has no point."""
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
    """Each domain's limits within its own and the given ones (domain → lowest and highest hertz).

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
