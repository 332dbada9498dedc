"""A plan made ready for stepping: what each step asks of which domain, looked up by two indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from e4_ros.energy.domains import Domain
from e4_ros.energy.plan import FrequencyPlan

Move = tuple[int, Callable[[int], int], int]
"""Slot of a domain, its `set_hz`, and the hertz it is asked for."""

Target = tuple[Move, ...]


def compile_plan(plan: FrequencyPlan, domains: Mapping[str, Domain]) -> list[list[Target | None]]:
    """Targets by path index and segment index; None where the plan has no point.

    Equal points share one object, so that a step may compare identities.
    """
    slots = {name: slot for slot, name in enumerate(domains)}
    shared: dict[tuple[int, ...], Target] = {}

    def target(point: Mapping[str, int]) -> Target:
        key = tuple(point[name] for name in plan.domains)
        moves = (
            (slots[name], domains[name].set_hz, hertz)
            for name, hertz in zip(plan.domains, key, strict=True)
        )
        return shared.setdefault(key, tuple(moves))

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
        low, high = limits_hz.get(name, domain.limits_hz)
        low, high = max(low, domain.limits_hz[0]), min(high, domain.limits_hz[1])
        if not any(low <= f <= high for f in domain.frequencies_hz):
            raise ValueError(f'the limits {low} to {high} Hz leave {name} no frequency at all')
        result[name] = (low, high)
    return result
