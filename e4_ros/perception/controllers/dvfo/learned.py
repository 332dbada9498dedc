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

"""DVFO's kind of learner: a network with a branch for each clock and one for what is sent.

It is a branching DQN (Tavakoli et al., AAAI 2018) that was trained with the Bellman operator for
policies that think while the world moves on (arXiv 2004.06089): what it sees includes its previous
decision, the clocks that have not changed yet, and how long its decision takes to hold. It learns
in the simulator of edge servers (`evaluation.simulation.edge_learning`); here it only decides, and
numpy is enough for that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from e4_ros.offload.exchange import LOST
from e4_ros.offload.request import EDGE
from e4_ros.perception.controller import ControllerError, Observation, Outcome
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.dvfo.base import LEVELS, levels, open_rows
from e4_ros.perception.controllers.dvfo.choices import Way
from e4_ros.perception.controllers.dvfo.costs import FrameCosts, Price
from e4_ros.perception.controllers.dvfo.exact import Exact
from e4_ros.perception.controllers.policy_net import Array, PolicyError, PolicyNet

DOMAINS = ('cpu', 'gpu', 'emc')
FIGURES = 20
"""Length of a state."""

WEIGHTS = Path(__file__).parents[3] / 'weights' / 'policies'


def branches_of(board_levels: Mapping[str, int], choices: int) -> tuple[int, ...]:
    """Sizes of a network's branches: one for each domain that the board has, one for what is sent.

    Args:
        board_levels: domain → number of its clocks.
        choices: number of choices, sending nothing included.
    """
    clocks = [min(board_levels[name], LEVELS) for name in DOMAINS if name in board_levels]
    return (*clocks, choices)


def shipped(board: str) -> PolicyNet | None:
    """The policy that comes with the package for a board; None where none does."""
    path = WEIGHTS / f'dvfo_{board}.npz'
    return PolicyNet.load(path) if path.is_file() else None


class Learned(Exact):
    """Asks the network; where none was trained for this board, the exact search decides.

    Args:
        context: what runs, and what can be sent of it.
        net: the policy; None: the one that is shipped for the board.

    Attributes:
        recent: what is remembered for the state.
    """

    def __init__(self, context: Context, net: PolicyNet | None = None) -> None:
        super().__init__(context)
        self._given, self._net, self._for = net, net, ''
        self.recent = Recent()

    def pick(self, found: FrameCosts, seen: Observation, price: Price) -> tuple[int, int]:
        """What the network says, as far as the server offers it.

        Raises:
            ControllerError: the network that was given is another board's, or has other choices.
        """
        self._find(found, seen.board.name)
        if self._net is None:
            return super().pick(found, seen, price)
        self._now_s = seen.time_s
        state = self.recent.state(seen, price, self._newest.ways(seen.time_s))
        picked = self._net.choose(state)
        choice, point = decode(picked, self._net.branches, found)
        if choice not in open_rows(found, seen):
            choice = 0
        self.recent.decided(seen.time_s, picked, self._net.branches, choice)
        return choice, point

    def observe(self, outcome: Outcome) -> None:
        """Remember what the next state says of this one."""
        super().observe(outcome)
        self.recent.observe(outcome, self._period_s)

    def _find(self, found: FrameCosts, board: str) -> None:
        """The network for this board."""
        if self._for == board:
            return
        self._problem, net = '', self._given
        if net is None:
            try:
                net = shipped(board)
            except (OSError, PolicyError) as error:
                self._problem = f'{error}; dvfo:exact decides'
        if net is None:
            self._problem = self._problem or (
                f'no policy was trained for {board}, so dvfo:exact decides; `e4 bench '
                f'offload-policies --board {board} --learn FILE` trains one, and '
                'dvfo:learned=FILE runs it'
            )
        elif (problem := misfit(net, board, found)) and self._given is not None:
            raise ControllerError(f'dvfo:learned: {problem}')
        elif problem:
            net, self._problem = None, f'{problem}; dvfo:exact decides'
        self._net, self._for = net, board


def misfit(net: PolicyNet, board: str, found: FrameCosts) -> str:
    """Why a network cannot decide here; empty where it can."""
    clocked = len(found.table.domains)
    if net.of and net.of != board:
        return f'the policy was trained for {net.of}, not for {board}'
    if len(net.mean) != FIGURES:
        return f'the policy looks at {len(net.mean)} figures, not at {FIGURES}'
    if len(net.branches) != clocked + 1 or net.branches[-1] != len(found.choices):
        return (
            f'the policy decides {net.branches}; here are clocks of {clocked} domains and '
            f'{len(found.choices)} things to do with a frame'
        )
    return ''


def decode(
    picked: tuple[int, ...], branches: tuple[int, ...], found: FrameCosts
) -> tuple[int, int]:
    """Numbers of choice and point for what the branches picked.

    Each clock is taken as a share of its table, so limits of the moment only make steps finer.
    """
    chosen = np.ones(len(found.points), bool)
    where = found.table.coordinates[found.points]
    for domain, (level, size) in enumerate(zip(picked[:-1], branches[:-1], strict=True)):
        allowed = np.unique(where[:, domain])
        kept = levels(len(allowed), LEVELS)
        index = round(level / max(size - 1, 1) * (len(kept) - 1))
        chosen &= where[:, domain] == allowed[kept[index]]
    return picked[-1], int(np.flatnonzero(chosen)[0])


class Recent:
    """What a state says besides the observation: what was decided and what came of it."""

    def __init__(self) -> None:
        self._previous = np.zeros(len(DOMAINS) + 1)
        self._sent_s, self._share, self._key = -math.inf, 0.0, 0.5
        self._late, self._edge, self._lost = 0.0, 0.0, 0.0

    def decided(
        self, now_s: float, picked: tuple[int, ...], branches: tuple[int, ...], choice: int
    ) -> None:
        """A decision was made."""
        heights = [level / max(size - 1, 1) for level, size in zip(picked, branches, strict=True)]
        self._previous[:] = 0.0
        self._previous[: len(heights) - 1] = heights[:-1]
        self._previous[-1] = heights[-1]
        if choice:
            self._sent_s = now_s

    def observe(self, outcome: Outcome, period_s: float) -> None:
        """A frame was answered: how much of a period is left until a decision holds."""
        rest_s = period_s - outcome.latency_s
        self._share = float(np.clip(rest_s / period_s, 0, 1)) if math.isfinite(rest_s) else 0.0
        self._late = float(np.clip(outcome.latency_s / period_s, 0, 2)) if self._share else 1.0
        self._edge = float(outcome.place == EDGE)
        self._key += 0.05 * (float(outcome.exit != 'track' or outcome.sent_bytes > 0) - self._key)
        for request in outcome.requests:
            self._lost += 0.2 * (float(request.status == LOST) - self._lost)

    def state(self, seen: Observation, price: Price, newest: list[Way]) -> Array:
        """The state, ``(FIGURES,)``, about 0 to 1."""
        low, usual = (_height(rate) for rate in seen.link.rate_bps)
        new = newest[-1] if newest else Way(1.0, math.nan, seen.server.wait_s)
        pending = [float(name in seen.board.pending) for name in DOMAINS]
        figures = [
            float(seen.link.up),
            low,
            usual,
            _height(new.rate_bps),
            min(_height(way.rate_bps) for way in newest) if newest else low,
            _part(new.wait_s, price.deadline_s),
            _part(seen.link.round_trip_s, price.deadline_s),
            self._lost,
            _part(seen.time_s - self._sent_s, 10.0),
            self._key,
            self._late,
            self._edge,
            *self._previous,
            *pending,
        ]
        return np.array([*figures, self._share], np.float32)


def _height(rate_bps: float) -> float:
    """Where a rate stands between 0.1 and 100 Mbit/s, on a scale of its logarithm."""
    if not 0 <= rate_bps < math.inf:
        return 0.5
    return float(np.clip((math.log10(max(rate_bps, 1e5)) - 5) / 3, 0, 1))


def _part(seconds: float, of_s: float) -> float:
    return float(np.clip(seconds / of_s, 0, 1)) if not math.isnan(seconds) else 0.0
