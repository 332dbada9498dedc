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

"""What policies of offloading are compared with: those of other papers, as far as they are rules.

All of them are controllers of this package's interface, so that the same worlds play them. Those
that set no clocks have the point that is best for the whole network on the robot, so that they do
not lose by clocks that nobody chose; those without early exits run the network on every frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from e4_ros.evaluation.simulation.edge_traces import markov_trace
from e4_ros.evaluation.simulation.edge_world import Scenario
from e4_ros.offload.request import FEATURES, FOLLOW, FRAME, GO_ON, LOCAL, LinkState, ServerState
from e4_ros.perception.controller import Controller, Decision, Observation
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.dvfo.base import ClocksAndOffload, open_rows, sent
from e4_ros.perception.controllers.dvfo.choices import NOTHING, Estimate
from e4_ros.perception.controllers.dvfo.costs import FrameCosts, Price
from e4_ros.perception.controllers.dvfo.exact import Exact

_PROFILED_SEEDS, _PROFILED_S = range(900, 905), 300.0
_ENOUGH_F1 = 0.95


class Always(DepthOnly):
    """The same point and the same request for every frame; nothing is sent where nobody answers.

    Args:
        decision: what holds while the link is up.
    """

    def __init__(self, decision: Decision) -> None:
        super().__init__(exits=decision.thresholds is None)
        self._decision = decision

    def decide(self, seen: Observation) -> Decision:
        """The decision, or the robot's own network at the same clocks."""
        return self._decision if seen.link.up else replace(self._decision, offload=LOCAL)


class SpinnLike(ClocksAndOffload):
    """Exit policy and split together after SPINN (MobiCom 2020), at fixed clocks.

    The cut of least expected cost as the link is estimated; the robot's own network goes on and
    answers where the server does not (the paper's progressive inference).
    """

    def __init__(self, scenario: Scenario, point: int) -> None:
        super().__init__(scenario.context())
        self._point, self._scenario = point, scenario

    def pick(self, found: FrameCosts, seen: Observation, price: Price) -> tuple[int, int]:
        """The cut for this link."""
        rows = open_rows(found, seen)
        kept = [
            row
            for row in rows
            if found.choices[row] == NOTHING
            or (
                found.choices[row].offload.form == FEATURES
                and found.choices[row].offload.meanwhile == GO_ON
            )
        ]
        priced = found.under(price, self._scenario.period_s)
        expected = priced.expected(Estimate.of(seen.link, seen.server), np.array(kept))
        return int(kept[int(expected[:, self._point].argmin())]), self._point


def baselines(scenario: Scenario) -> dict[str, Callable[[], Controller]]:
    """Name for people → makes a fresh controller."""
    costs = Exact(scenario.context()).costs(scenario.board_state())
    priced = costs.under(scenario.price, scenario.period_s)
    own = priced.expected(_profiled(scenario), np.array([0]))[0]
    best = int((scenario.key_share * own + (1 - scenario.key_share) * priced.early).argmin())
    whole = int(own.argmin())
    jpeg = min(
        (c for c in costs.choices if c.offload.form == FRAME and c.f1 >= _ENOUGH_F1 and c.runs),
        key=lambda c: (c.sent_bytes, c.offload.meanwhile != FOLLOW),
    )
    picture = sent(jpeg, scenario.price)
    at_best, at_whole = costs.point(best), costs.point(whole)
    only_local = replace(scenario.context(), choices=(NOTHING,))
    return {
        'edge-only, ladder': lambda: Always(Decision(point=at_best, offload=LOCAL)),
        'edge-only, full network': lambda: Always(Decision({}, point=at_whole, offload=LOCAL)),
        'cloud-only, JPEG': lambda: Always(Decision({}, point=at_whole, offload=picture)),
        'Neurosurgeon-like': lambda: Always(_neurosurgeon(scenario, costs, whole)),
        'SPINN-like': lambda: SpinnLike(scenario, best),
        'offload if unsure (AppealNet rule)': lambda: Always(
            Decision(point=at_best, offload=picture)
        ),
        'clocks only (Zeus-like cost)': lambda: Exact(only_local, asks=False),
    }


def _neurosurgeon(scenario: Scenario, costs: FrameCosts, point: int) -> Decision:
    """Neurosurgeon (ASPLOS 2017): the fastest cut, picture or own network at the mean rate."""
    estimate, bits = _profiled(scenario), costs.bits
    seconds = np.array(
        [
            costs.whole_s[point]
            if choice == NOTHING
            else costs.before_s[row, point]
            + bits[row] / estimate.ways[-1].rate_bps
            + estimate.trip_s
            + estimate.run_of(choice)
            for row, choice in enumerate(costs.choices)
        ]
    )
    lossless = costs.f1 > 0.99  # it moves the cut, and does not change the answer
    follows = costs.follows | costs.local
    row = int(np.where(lossless & follows, seconds, np.inf).argmin())
    return Decision({}, point=costs.point(point), offload=sent(costs.choices[row], scenario.price))


def _profiled(scenario: Scenario) -> Estimate:
    """Link and server as a profile beforehand would show them: mean rate, nobody else there."""
    trace = scenario.trace
    rate = (
        trace.mean_bps
        if trace is not None
        else float(
            np.mean(
                [
                    markov_trace(seed, _PROFILED_S, scenario.weather).mean_bps
                    for seed in _PROFILED_SEEDS
                ]
            )
        )
    )
    trip_s = scenario.weather.round_trip_s
    run_s = {c.runs: scenario.server_s * (1 - c.before) for c in scenario.choices}
    link = LinkState(True, 0.0, (rate, rate), trip_s, 0.0)
    return Estimate.of(link, ServerState(run_s=run_s))
