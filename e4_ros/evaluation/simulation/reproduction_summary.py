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

"""What the rows of `e4 reproduce` say: E4 against the best rival of each scene.

The saving is told in three steps, each a policy that somebody could use instead: from the best
rival on the whole network to the best fixed point there (clocks), from there to the best fixed
point with the exits (exits), and from there to E4 (clocks of each segment).

A rival counts where at most 1 % of its frames are late, or as many as E4's. What the others would
have drawn is told as well, and what is saved where lateness does not matter at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from e4_ros.evaluation.metrics.intervals import mean_interval
from e4_ros.evaluation.simulation.reproduction import GOVERNORS, LEARNED, STOCK, TOP
from e4_ros.perception.controllers import WITH_EXITS

Row = dict[str, Any]
SCENE = ('board', 'backbone', 'workload')
IN_TIME_PERCENT = 1.0
"""Share of the frames that may be late under a rival."""
FIXED, FIXED_EXITS = 'fixed_point', f'fixed_point{WITH_EXITS}'
SAVINGS: dict[str, Callable[[dict[str, str]], tuple[str, str, str]]] = {
    'saving_vs_best_governor_percent': lambda s: (s['best'], 'e4', s['best']),
    'from_clocks_percent': lambda s: (s['best'], FIXED, s['best']),
    'from_exits_percent': lambda s: (FIXED, FIXED_EXITS, s['best']),
    'from_segment_clocks_percent': lambda s: (FIXED_EXITS, 'e4', s['best']),
    'saving_vs_fixed_point_with_exits_percent': lambda s: (FIXED_EXITS, 'e4', FIXED_EXITS),
    'saving_vs_best_with_exits_percent': lambda s: (s['equal'], 'e4', s['equal']),
    'saving_vs_best_kernel_governor_percent': lambda s: (s['kernel'], 'e4', s['kernel']),
    'saving_vs_stock_percent': lambda s: (STOCK, 'e4', STOCK),
    'saving_vs_any_lateness_percent': lambda s: (s['any'], 'e4', s['any']),
    'saving_vs_any_lateness_with_exits_percent': lambda s: (
        s['any_equal'], 'e4', s['any_equal'],
    ),
    'saving_with_emc_at_top_percent': lambda s: (s['best'], s['emc_top'], s['best']),
}  # fmt: skip
"""Name of a figure → of a scene's rivals the policies *from*, *to*, and the one that is 100 %."""


def summarise(table: Sequence[Row]) -> dict[str, Any]:
    """The figures of all scenes of one pace: means, intervals and each scene's own.

    ``bound`` is what would be saved if frames cost nothing at all: the rest is drawn by the waiting
    board, which no exit and no clock of CPU or GPU changes. ``intervals`` has the low and the high
    end of each saving, by bootstrap over scenes and their streams.
    """
    found = by_scene(table)
    scenes = [_scene(rows) for rows in found.values()]
    streams = {
        key: [_of_streams(rows, *of(scene['rivals'])) for rows, scene in zip(
            found.values(), scenes, strict=True)]
        for key, of in SAVINGS.items()
    }  # fmt: skip
    for key, values in streams.items():
        for scene, of_scene in zip(scenes, values, strict=True):
            scene[key] = float(np.mean(of_scene))

    def mean(key: str) -> float:
        return float(np.mean([scene[key] for scene in scenes]))

    told = ('bound_percent', 'idle_share_percent', 'saving_above_idle_percent')
    return {
        **{key: mean(key) for key in (*SAVINGS, *told)},
        'intervals': {key: mean_interval(values) for key, values in streams.items()},
        'fixed_point_is_the_plan': [
            [s[k] for k in SCENE] for s in scenes if not s['clocks_per_segment']
        ],
        'dropped': _dropped(found),
        'scenes': scenes,
    }


def by_pace(table: Sequence[Row]) -> dict[float, list[Row]]:
    """Rows by pace, the most demanding first."""
    paces = sorted({row['pace'] for row in table})
    return {pace: [row for row in table if row['pace'] == pace] for pace in paces}


def by_scene(table: Sequence[Row]) -> dict[tuple[str, ...], dict[str, Row]]:
    """Rows by scene and policy."""
    scenes: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in table:
        scenes.setdefault(tuple(row[k] for k in SCENE), {})[row['policy']] = row
    return scenes


def _scene(found: dict[str, Row]) -> dict[str, Any]:
    ours = found['e4']
    whole = [n for n in (*GOVERNORS, *LEARNED) if n in found]
    equal = [n for n in (*(f'{name}{WITH_EXITS}' for name in whole), FIXED_EXITS) if n in found]
    rivals = {
        'best': _best_in_time(found, whole),
        'kernel': _best_in_time(found, GOVERNORS),
        'equal': _best_in_time(found, equal),
        'any': min(whole, key=lambda name: _energy(found[name])),
        'any_equal': min(equal, key=lambda name: _energy(found[name])),
        'emc_top': 'e4_emc_top' if 'e4_emc_top' in found else 'e4',
    }
    best = found[rivals['best']]
    idle_j = _energy(ours) - ours['above_idle_j_per_frame']
    above = best['above_idle_j_per_frame']
    return {
        **{key: ours[key] for key in SCENE},
        'power_mode': ours['power_mode'],
        'rivals': rivals,
        'stock_late_percent': _misses(found[STOCK]),
        'clocks_per_segment': ours['clocks_per_segment'],
        'saving_above_idle_percent': 100 * (1 - ours['above_idle_j_per_frame'] / above),
        'bound_percent': 100 * (1 - idle_j / _energy(best)),
        'idle_share_percent': 100 * idle_j / _energy(ours),
    }


def _of_streams(found: dict[str, Row], before: str, after: str, whole: str) -> list[float]:
    """Percent of ``whole`` that ``after`` draws less than ``before``, for each stream."""
    from_j, to_j, whole_j = (
        np.array(found[name]['energy_j_of_streams']) for name in (before, after, whole)
    )
    return list((100 * (from_j - to_j) / whole_j).tolist())


def _best_in_time(found: dict[str, Row], names: Sequence[str]) -> str:
    """The cheapest of some policies that is in time, or else the one of all clocks at the top."""
    in_time = [name for name in names if _in_time(found, name)]
    return min(in_time, key=lambda name: _energy(found[name])) if in_time else TOP


def _in_time(found: dict[str, Row], name: str) -> bool:
    allowed = max(_misses(found['e4']) + 1e-9, IN_TIME_PERCENT)
    return name in found and _misses(found[name]) <= allowed


def _dropped(scenes: dict[tuple[str, ...], dict[str, Row]]) -> list[Row]:
    """The rivals that were late somewhere: where, how late, and what they drew there."""
    policies = list(dict.fromkeys(name for found in scenes.values() for name in found))
    lines = []
    for name in policies:
        if name.removesuffix(WITH_EXITS) not in (*GOVERNORS, *LEARNED):
            continue
        late = [f for f in scenes.values() if name in f and not _in_time(f, name)]
        if late:
            against = [100 * _energy(f[name]) / _energy(f['e4']) for f in late]
            lines.append(
                {
                    'policy': name,
                    'scenes': len(late),
                    'of': sum(name in f for f in scenes.values()),
                    'late_percent': float(np.mean([_misses(f[name]) for f in late])),
                    'energy_percent_of_e4': float(np.mean(against)),
                }
            )
    return lines


def _misses(row: Row) -> float:
    return float(row['deadline_miss_percent'])


def _energy(row: Row) -> float:
    return float(row['energy_j_per_frame'])
