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

"""Part `fleet`: one robot, a hundred, ten thousand, that share access points, servers and trainers.

Robots decide with the controllers that they run; links, servers and trainers are queues.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import typer

from e4_ros import console
from e4_ros.benchmarks.siblings.fleet_picture import picture
from e4_ros.evaluation.simulation.edge_world import Scenario
from e4_ros.evaluation.simulation.fleet import Played, Site, herding, play_site
from e4_ros.evaluation.simulation.fleet_learning import (
    Learning,
    staleness_s,
    staleness_together_s,
)
from e4_ros.files import write_whole
from e4_ros.offload.request import LinkState, ServerState
from e4_ros.perception.controller import Controller, Observation
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.dvfo.choices import Estimate, Way
from e4_ros.perception.controllers.dvfo.costs import FrameCosts, Price
from e4_ros.perception.controllers.dvfo.exact import Exact

FLEETS = (1, 100, 10_000)
PER_SITE = 100
"""Robots that share one access point and one edge server; each such site has `TRAINERS`."""

TRAINERS = 2
"""Fits that a site runs at a time; a fleet's are one pool."""

TEACHER_EVERY_S, TEACHER_S, TEACHERS = 20.0, 13 * 0.012, 2
"""Seconds between two looks of the live teacher that a robot asks for, and what one takes: thirteen
passes of the detector; workers of a site that take them."""

RAIN = 0.3
"""Share of a fleet that drifts at once."""

FULL = 0.8
"""Load at which a resource counts as full: above, waits grow without measure."""

_SIZES = (1, 20, 100, 200)


class Own(Exact):
    """The exact search of a robot that has no link."""

    def pick(self, found: FrameCosts, seen: Observation, price: Price) -> tuple[int, int]:
        """The cheapest cell of those that send nothing."""
        return super().pick(found, replace(seen, link=LinkState(), server=ServerState()), price)


class AsIfAlone(Exact):
    """The exact search of a robot that believes that air and server are all its own."""

    def estimate(self, seen: Observation) -> Estimate:
        """An empty link and an idle server, whatever was seen."""
        alone = (Way(1.0, Site().air_bps, 0.0),)
        return replace(super().estimate(seen), ways=alone, loss=0.0, known=True)


POLICIES: dict[str, Callable[[Context], Controller]] = {
    'own': Own,
    'as_if_alone': AsIfAlone,
    'dvfo:exact': lambda context: make_controller('dvfo:exact', context),
    'dvfo:greedy': lambda context: make_controller('dvfo:greedy', context),
}


def measure(quick: bool) -> dict[str, Any]:
    """Play sites of several sizes, then what fleets of such sites need.

    Returns:
        `sites`: policy, robots, and what came of it; `fleets`: for each size loads, delays, cost
        and staleness; `full_at`: robots of a site at which each resource is full.
    """
    frames = 16 if quick else 36
    sites, traces = [], {}
    with console.Phases() as phases:
        plan = [(name, n) for n in _SIZES for name in POLICIES if _wanted(name, n, quick)]
        for number, (name, robots) in enumerate(plan):
            phases('sites', number, len(plan), f'{robots} robots, {name}')
            played = _play(name, robots, frames)
            sites.append(_row(name, robots, played))
            if robots == max(n for _, n in plan):
                traces[name] = played.sending.tolist()
        both = _play('dvfo:exact', PER_SITE, frames, together=True)
        sites.append({**_row('dvfo:exact', PER_SITE, both), 'frames_together': True})
    learning = Learning()
    full = next(s for s in sites if s['policy'] == 'dvfo:exact' and s['robots'] == PER_SITE)
    one = next(s for s in sites if s['policy'] == 'dvfo:exact' and s['robots'] == 1)
    own = next(s for s in sites if s['policy'] == 'own')
    return {
        'sites': sites,
        'own_cost_j': own['cost_j'],
        'fleets': [_fleet(n, one if n == 1 else full, learning) for n in FLEETS],
        'full_at': _full_at(full, learning),
        'requests_per_second': traces,
    }


def show(found: Mapping[str, Any]) -> None:
    """Tables, and the picture beside the figures."""
    for row in found['sites']:
        extra = ', frames at the same moment' if row.get('frames_together') else ''
        typer.echo(
            f'{row["robots"]:4d} robots a site, {row["policy"]:12s} cost {row["cost_j"]:.3f} J  '
            f'air {row["air_load"]:.2f}  server {row["server_load"]:.2f}  '
            f'p50/p95 {_ms(row["p50_ms"])}/{_ms(row["p95_ms"])} ms  in time '
            f'{row["in_time_percent"]:.1f} %  herding {row["herding"]:.2f}{extra}'
        )
    for row in found['fleets']:
        typer.echo(
            f'{row["robots"]:6d} robots: {row["sites"]} sites, {row["cost_j"]:.3f} J a frame, '
            f'{row["gbit_s"]:.3f} Gbit/s in all, {row["fits_per_day"]:.0f} fits a day, exits stale '
            f'{row["stale_p50_min"]:.0f}/{row["stale_p95_min"]:.0f} min (p50/p95), '
            f'{row["rain_p95_h"]:.1f} h (p95) when {RAIN:.0%} drift at once'
        )
    order = sorted(found['full_at'].items(), key=lambda item: item[1])
    typer.echo('full first: ' + ', '.join(f'{name} at {robots:.0f}' for name, robots in order))
    path = Path('out/bench/fleet.svg')
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, picture(found))
    typer.echo(f'wrote {path}')


def _wanted(name: str, robots: int, quick: bool) -> bool:
    if quick and robots > 20:
        return name == 'dvfo:exact' and robots == PER_SITE
    if name == 'own':
        return robots == 20
    return name != 'dvfo:greedy' or robots == PER_SITE


def _play(name: str, robots: int, frames: int, together: bool = False) -> Played:
    scenario = Scenario()
    context = scenario.context()
    frames *= {1: 10, _SIZES[-1]: 2}.get(robots, 1)  # what one robot, or a full site, comes to
    return play_site(
        scenario, Site(), robots, frames, lambda robot: POLICIES[name](context), together
    )


def _row(name: str, robots: int, played: Played) -> dict[str, Any]:
    delays = np.array(played.shared.delays_s) * 1e3
    bound_s = Scenario().price.deadline_s
    answers = played.answers
    return {
        'policy': name,
        'robots': robots,
        'cost_j': float(np.mean([answer.cost for answer in answers])),
        'joules': float(np.mean([answer.joules for answer in answers])),
        'f1': float(np.mean([answer.f1 for answer in answers])),
        'air_load': played.air_load,
        'server_load': played.server_load,
        'mbit_s': played.shared.bits / played.seconds / 1e6,
        'p50_ms': float(np.median(delays)) if len(delays) else None,
        'p95_ms': float(np.quantile(delays, 0.95)) if len(delays) else None,
        'answered_by_server_percent': 100 * float(np.mean([a.place == 'edge' for a in answers])),
        'in_time_percent': 100 * float(np.mean([a.latency_s <= bound_s + 1e-9 for a in answers])),
        'herding': herding(played, skip=len(played.sending) // 3),
    }


def _fleet(robots: int, site: Mapping[str, Any], learning: Learning) -> dict[str, Any]:
    """A fleet of sites like one that was played, with the trainers of all."""
    sites = math.ceil(robots / PER_SITE)
    trainers = sites * TRAINERS
    stale = staleness_s(robots, trainers, learning, days=20 if robots < 10_000 else 5)
    rain = staleness_together_s(robots, trainers, RAIN, learning)
    each = ('cost_j', 'joules', 'air_load', 'server_load', 'p50_ms', 'p95_ms', 'in_time_percent')
    moved = 8 * (learning.upload_bytes + learning.exits_bytes) / learning.drift_s
    return {
        'robots': robots,
        'sites': sites,
        **{name: site[name] for name in each},
        'server_mbit_s': site['mbit_s'],
        'gbit_s': (site['mbit_s'] * robots / site['robots'] + moved * robots / 1e6) / 1e3,
        'teacher_load': robots * TEACHER_S / TEACHER_EVERY_S / (sites * TEACHERS),
        'trainer_load': learning.trainers(robots) / trainers,
        'fits_per_day': robots * 86400 / learning.drift_s,
        'stale_p50_min': float(np.median(stale)) / 60,
        'stale_p95_min': float(np.quantile(stale, 0.95)) / 60,
        'rain_p95_h': float(np.quantile(rain, 0.95)) / 3600,
    }


def _full_at(site: Mapping[str, Any], learning: Learning) -> dict[str, float]:
    """Robots of one site at which each of its resources has the load `FULL`."""
    robots = site['robots']
    return {
        'the server': FULL * robots / site['server_load'],
        'the air': FULL * robots / site['air_load'],
        'the trainers': FULL * TRAINERS / learning.trainers(1),
        'the live teacher': FULL * TEACHERS * TEACHER_EVERY_S / TEACHER_S,
    }


def _ms(value: float | None) -> str:
    return '-' if value is None else f'{value:.0f}'
