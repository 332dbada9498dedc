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

"""Whether early answers are still as good as calibration saw them.

Now and then somebody who knows better looks at the frame of an early answer: for a detector the
offline teacher's look, for a classifier the full network. Where an exit loses more than its bound,
it is switched off, and stays so until it is calibrated again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from e4_ros.vision.inference.audit_budget import DEFAULT_SHARE, AuditBudget
from e4_ros.vision.inference.audit_record import AuditRecord
from e4_ros.vision.inference.frame_result import FrameResult

DEFAULT_BOUND = 0.1
"""Mean loss of an exit that nobody calibrated; tracks may lose about as much. Fitted exits lose
.02 to .03 on later frames of their camera, and .5 or more on a camera that they do not know."""

_STAKES = (0.25, 0.5, 0.95)  # of the capital in play, lost where a frame agrees entirely
_CHANCE = 10  # early answers that one is chosen from: a scene that repeats itself hides none
_RECENT = 10


class BettingTest:
    """A bet that an exit loses more than its bound; winning it is the proof.

    Null hypothesis: given all that went before, an audited answer's loss ``x`` in [0, 1] has a
    mean of at most ``bound``. A bettor who stakes ``s`` has his capital multiplied by
    ``1 + s·(x/bound − 1)``, which is no gain on average then (Waudby-Smith & Ramdas, "Estimating
    means of bounded random variables by betting", arXiv 2010.09686, section 4). By Ville's
    inequality the capital, 1 at first, *ever* reaches ``1/(1 − confidence)`` with a probability of
    at most ``1 − confidence``, however long the stream, and however audits are chosen, as long as
    it is done before their outcome is known.

    An exit that was good for long would have ruined that bettor before it breaks. Setting his
    capital back up to 1 (as CUSUM and e-detectors do) reacts fast, but then only the mean time
    between false alarms is bounded, and in the end there is one. So the capital is shared out among
    bettors beforehand: the n-th enters at the n-th audit with ``1/(n·(n + 1))`` of it. These
    shares sum to 1, so the promise stays whole; and a break after n good audits is found only
    ``2·log n`` later, in units of a bettor's gain, than one at the start. Each splits his share
    evenly over a few stakes.

    Args:
        bound: largest mean loss that is allowed, in (0, 1).
        confidence: one minus the probability that a good exit is ever rejected.
    """

    def __init__(self, bound: float, confidence: float = 0.95):
        if not 0 < bound < 1 or not 0 < confidence < 1:
            raise ValueError(f'bound and confidence lie in (0, 1), got {bound} and {confidence}')
        self.bound = bound
        self.goal = 1 / (1 - confidence)
        self.audits = 0
        self._capital = [0.0] * len(_STAKES)

    @property
    def capital(self) -> float:
        """Capital of all bettors, those included who have not entered yet; 1 at first."""
        return sum(self._capital) / len(_STAKES) + 1 / (self.audits + 1)

    def update(self, loss: float) -> bool:
        """Count an audit's loss in [0, 1]; return whether the exit is proven bad."""
        self.audits += 1
        entering = 1 / (self.audits * (self.audits + 1))
        gain = loss / self.bound - 1
        self._capital = [
            (capital + entering) * (1 + stake * gain)
            for capital, stake in zip(self._capital, _STAKES, strict=True)
        ]
        return self.capital >= self.goal


@dataclass(frozen=True)
class Audit:
    """One pass of the network for an audit, and what came of it if it was the last.

    Attributes:
        exit: name of the exit that is audited.
        passed: the full network on the frame or a part of it, with what it cost.
        loss: what the early answer lost, as `quality_lost` has it; None while passes are left.
        switched_off: why the exit is off from now on; empty while it is on.
    """

    exit: str
    passed: FrameResult
    loss: float | None = None
    switched_off: str = ''


class Auditor:
    """Chooses what is audited, and switches exits off.

    The first answer of an exit is audited, and then as many as the budget allows. After one that
    lost more than the bound another is audited at once, on credit, until one does not: what breaks
    shall not have to wait.

    Args:
        bounds: exit → largest mean loss, from calibration.
        share: seconds that audits may compute for each second that answers do; 0 for no audits.
        confidence: one minus the probability that a good exit is ever disabled.
        record: file that keeps disabled exits; None to forget them with the process.

    Attributes:
        off: exit → why it is disabled.
        budget: what audits may compute.

    Raises:
        ValueError: the share, a bound or the confidence is out of range.
    """

    def __init__(
        self,
        bounds: Mapping[str, float] | None = None,
        share: float = DEFAULT_SHARE,
        confidence: float = 0.95,
        record: AuditRecord | None = None,
    ):
        self.budget = AuditBudget(share)
        self.confidence = confidence
        self._bounds = dict(bounds or {})
        self._record = record
        self._cases: dict[str, _Case] = {}
        self._rng = np.random.default_rng(0)
        self._wait = 0  # answers until one that the budget allows is chosen
        self.off: dict[str, str] = record.read() if record else {}

    def is_due(self, exit_name: str) -> bool:
        """Whether an answer of this early exit is to be audited."""
        if not self.budget.share or exit_name in self.off:
            return False
        if self._case(exit_name).unsure:
            return self.budget.lends()
        if not self.budget.pays():
            return False
        self._wait -= 1
        if self._wait > 0:
            return False
        self._wait = int(self._rng.integers(1, _CHANCE + 1))
        return True

    def judge(self, exit_name: str, loss: float, task: str = 'detect') -> str:
        """Take the outcome of an audit.

        Args:
            exit_name: name of the exit.
            loss: what its answer lost, in [0, 1].
            task: task of the network, ``detect`` or ``classify``: it says who judged.

        Returns:
            Why the exit is off from now on; empty while it is on.
        """
        case = self._case(exit_name)
        case.recent.append(loss)
        if not case.test.update(loss):
            return ''
        reason = _reason(case.recent, case.test.bound, task)
        self.off = self.off | {exit_name: reason}
        if self._record is not None:
            self._record.write(self.off)
        return reason

    def _case(self, exit_name: str) -> _Case:
        if exit_name not in self._cases:
            bound = self._bounds.get(exit_name, DEFAULT_BOUND)
            self._cases[exit_name] = _Case(
                BettingTest(bound, self.confidence), deque(maxlen=_RECENT)
            )
        return self._cases[exit_name]


@dataclass
class _Case:
    test: BettingTest
    recent: deque[float]

    @property
    def unsure(self) -> bool:
        """Whether nothing is known of the exit yet, or the last that is known is bad."""
        return not self.recent or self.recent[-1] > self.test.bound


def _reason(recent: Sequence[float], bound: float, task: str) -> str:
    when = datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M UTC')
    last, mean = len(recent), float(np.mean(recent))
    if task == 'classify':
        return (
            f'switched off on {when}: its last {last} checked answers differed from the full '
            f"network's by {mean:.0%} on average, where {bound:.0%} is allowed"
        )
    return (
        f'switched off on {when}: its last {last} checked answers found {mean:.2f} less (F1) of '
        'what a close look finds than the full network does, on average, where '
        f'{bound:.2f} is allowed'
    )
