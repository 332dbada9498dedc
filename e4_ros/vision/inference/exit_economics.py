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

"""Does it pay here? What an exit costs where it is asked, against what its answers save.

On another machine, or in a scene where an exit trusts itself too rarely, asking it only makes every
frame slower. Such an exit rests for a while and is then tried again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from e4_ros.vision.inference.exit_thresholds import TEMPORAL

_WINDOW = 100  # frames over which a balance is drawn
_REST = 300  # frames
_CREDIT = 2.0  # answers' worth of debt before an exit's first rest
_CREDIT_AGAIN = 1.0  # and when it is tried again


@dataclass(frozen=True)
class ExitCost:
    """Seconds of one exit, measured here.

    Attributes:
        asked_s: seconds of evaluating the exit.
        saved_s: what a frame saves on top that takes its answer: all that would have come after.
    """

    asked_s: float
    saved_s: float

    @property
    def least_rate(self) -> float:
        """Share of the frames asked that it must answer to pay."""
        return self.asked_s / max(self.saved_s, 1e-9)


class ExitEconomics:
    """Keeps a balance of each exit over the last frames, and rests those that are in debt.

    A frame's gain is what an answer saves, less what asking costs. An exit rests once its losses
    reach what two of its answers save; one that asks for next to nothing never gets there. After
    300 frames it is tried again, and then one answer's worth is enough.

    The temporal exit looks for all: no exit behind it is asked unless it has looked. So what they
    gain counts for it, too, and while it rests all do.

    Args:
        costs: cost of each exit that may be evaluated, in order of depth.
        rates: share of all frames that each answered in calibration, where that is known; an exit
            that cannot pay at that rate starts at rest.

    Attributes:
        costs: exit → its cost.
    """

    def __init__(self, costs: Mapping[str, ExitCost], rates: Mapping[str, float] | None = None):
        self.costs = dict(costs)
        self._ledgers = {name: _Ledger() for name in costs}
        self._frames = 0
        self._rates = dict(rates or {})
        if costs and costs.keys() <= self._rates.keys():
            self._start(self._rates)

    def asks(self, exit_name: str) -> bool:
        """Whether the exit is not at rest; one of unknown cost never is."""
        ledger = self._ledgers.get(exit_name)
        return ledger is None or not ledger.rest

    @property
    def resting(self) -> list[str]:
        """Exits at rest."""
        return [name for name in self._ledgers if not self.asks(name)]

    @property
    def verdicts(self) -> dict[str, str]:
        """For each exit a sentence that says whether it pays, from what is known so far."""
        return {name: self._verdict(name) for name in self.costs}

    def note(self, asked: Collection[str], taken: str) -> None:
        """Take down one frame: the exits that were asked, and the one that answered."""
        awake = [name for name in self._ledgers if self.asks(name)]
        self._frames += 1
        for ledger in self._ledgers.values():
            ledger.pass_frame()
        if not asked:
            return
        for name in awake:
            cost = self.costs[name]
            gain = cost.saved_s * (name == taken) - cost.asked_s * (name in asked)
            self._ledgers[name].add(gain)
        for name in reversed(awake):
            self._draw(name)

    def _draw(self, name: str) -> None:
        ledger = self._ledgers[name]
        balance_s = ledger.balance_s
        if name == TEMPORAL:
            behind = (other.balance_s for key, other in self._ledgers.items() if key != TEMPORAL)
            balance_s += sum(max(balance, 0.0) for balance in behind)
        if balance_s < -ledger.credit * self.costs[name].saved_s:
            ledger.begin_rest()

    def _start(self, rates: Mapping[str, float]) -> None:
        """Draw the balances as calibration's rates foretell them."""
        left, gains = 1.0, {}
        for name, cost in self.costs.items():
            gains[name] = rates[name] * cost.saved_s - left * cost.asked_s
            left -= rates[name]
        if TEMPORAL in gains:
            behind = (gain for name, gain in gains.items() if name != TEMPORAL)
            gains[TEMPORAL] += sum(max(gain, 0.0) for gain in behind)
        for name, gain in gains.items():
            if gain < 0:
                self._ledgers[name].begin_rest()

    def _verdict(self, name: str) -> str:
        cost, rate, rested = self.costs[name], self._rates.get(name), self._ledgers[name].rested
        text = (
            f'exit {name}: asking it takes {cost.asked_s * 1e3:.2f} ms, an answer of it saves '
            f'{cost.saved_s * 1e3:.2f} ms'
        )
        if cost.least_rate >= 1:
            text += ', which never pays on this machine'
        else:
            text += f', which pays where it answers more than {cost.least_rate:.0%} of the frames'
        if rate is not None:
            text += f'; in calibration it answered {rate:.0%} of all'
        if rested:
            text += f'; it rested on {rested} of {self._frames} frames, since it did not pay'
        elif not self.asks(name):
            text += '; it rests, and is tried again now and then'
        return text


class _Ledger:
    def __init__(self) -> None:
        self._gains: deque[float] = deque()
        self.balance_s = 0.0  # of the frames in the window
        self.credit = _CREDIT
        self.rest = 0  # frames to come
        self.rested = 0  # frames so far

    def add(self, gain_s: float) -> None:
        self._gains.append(gain_s)
        self.balance_s += gain_s
        if len(self._gains) > _WINDOW:
            self.balance_s -= self._gains.popleft()

    def pass_frame(self) -> None:
        if self.rest:
            self.rest, self.rested = self.rest - 1, self.rested + 1

    def begin_rest(self) -> None:
        self._gains.clear()
        self.balance_s = 0.0
        self.credit, self.rest = _CREDIT_AGAIN, _REST
