"""What the rows of `e4 reproduce` say: E4 against the best rival of each scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from e4_ros.evaluation.simulation.reproduction import GOVERNORS, LEARNED, TOP

Row = dict[str, Any]
SCENE = ('board', 'backbone', 'workload')


def summarise(table: Sequence[Row]) -> dict[str, Any]:
    """E4 against the best governor of each scene that is late no more often than E4.

    ``from_clocks`` is what the best fixed pair saves on the whole network, ``from_exits`` what E4
    saves beyond that. (Exits under a governor save little or are late: it lowers the clocks until
    the frames that do not exit come too late.) ``bound`` is what would be saved if frames cost
    nothing at all: the rest is drawn by the waiting board, which no exit and no clock of CPU or GPU
    changes.
    """
    scenes = [_scene(found) for found in by_scene(table).values()]

    def mean(key: str) -> float:
        return float(np.mean([scene[key] for scene in scenes]))

    saving, clocks = mean('saving_percent'), mean('clocks_percent')
    return {
        'saving_vs_best_governor_percent': saving,
        'from_exits_percent': saving - clocks,
        'from_clocks_percent': clocks,
        'best_fixed_pair_wins': [[s[k] for k in SCENE] for s in scenes if s['fixed_pair_wins']],
        'saving_vs_best_kernel_governor_percent': mean('kernel_saving_percent'),
        'saving_above_idle_percent': mean('above_idle_percent'),
        'bound_percent': mean('bound_percent'),
        'idle_share_percent': mean('idle_share_percent'),
        'saving_with_emc_at_top_percent': mean('emc_top_saving_percent'),
        'scenes': scenes,
    }


def by_scene(table: Sequence[Row]) -> dict[tuple[str, ...], dict[str, Row]]:
    """Rows by scene and policy."""
    scenes: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in table:
        scenes.setdefault(tuple(row[k] for k in SCENE), {})[row['policy']] = row
    return scenes


def _scene(found: dict[str, Row]) -> dict[str, Any]:
    ours, fixed = found['e4'], found['fixed_pair+exits']
    learned = [name for name in LEARNED if name in found]
    best, kernel = _best_in_time(found, [*GOVERNORS, *learned]), _best_in_time(found, GOVERNORS)
    idle_j = _energy(ours) - ours['above_idle_j_per_frame']
    in_time = _misses(fixed) <= _misses(ours) + 1e-9
    return {
        **{key: ours[key] for key in SCENE},
        'rival': best['policy'],
        'kernel_rival': kernel['policy'],
        'saving_percent': _less(ours, best),
        'clocks_percent': _less(found['fixed_pair'], best),
        'kernel_saving_percent': _less(ours, kernel),
        'above_idle_percent': _less(ours, best, 'above_idle_j_per_frame'),
        'emc_top_saving_percent': _less(found.get('e4_emc_top', ours), best),
        'bound_percent': 100 * (1 - idle_j / _energy(best)),
        'idle_share_percent': 100 * idle_j / _energy(ours),
        'fixed_pair_wins': in_time and _energy(fixed) <= _energy(ours) * 1.001,
    }


def _less(ours: Row, other: Row, key: str = 'energy_j_per_frame') -> float:
    return 100 * (1 - ours[key] / other[key])


def _best_in_time(found: dict[str, Row], names: Sequence[str] | dict[str, Any]) -> Row:
    """The cheapest of some policies that is late no more often than E4, or else the quickest."""
    allowed = _misses(found['e4']) + 1e-9
    in_time = [found[name] for name in names if _misses(found[name]) <= allowed]
    return min(in_time or [found[TOP]], key=_energy)


def _misses(row: Row) -> float:
    return float(row['deadline_miss_percent'])


def _energy(row: Row) -> float:
    return float(row['energy_j_per_frame'])
