"""Whether early answers still agree with the full network as calibration saw it.

After a share of its early answers the full network looks at the same frame. Where the two disagree
more than calibration allows, the exit is switched off, and stays so until it is calibrated again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from e4_ros.vision.inference.audit_record import AuditRecord
from e4_ros.vision.inference.frame_result import FrameResult

DEFAULT_SHARE = 0.04
DEFAULT_BOUND = 0.5  # where calibration left none
_STAKES = (0.25, 0.5, 0.95)  # of the capital in play, lost where a frame agrees entirely
_JITTER = 0.2  # of the gap between audits: a scene that repeats itself must not hide behind it
_RECENT = 10


class BettingTest:
    """A bet that an exit disagrees more than its bound; winning it is the proof.

    Null hypothesis: given all that went before, an audited answer's disagreement ``x`` in [0, 1]
    has a mean of at most ``bound``. A bettor who stakes ``s`` has his capital multiplied by
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
        bound: largest mean disagreement that calibration allows, in (0, 1).
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

    def update(self, disagreement: float) -> bool:
        """Count an audit's disagreement in [0, 1]; return whether the exit is proven bad."""
        self.audits += 1
        entering = 1 / (self.audits * (self.audits + 1))
        gain = disagreement / self.bound - 1
        self._capital = [
            (capital + entering) * (1 + stake * gain)
            for capital, stake in zip(self._capital, _STAKES, strict=True)
        ]
        return self.capital >= self.goal


@dataclass(frozen=True)
class Audit:
    """What came of one audit.

    Attributes:
        exit: name of the exit that was audited.
        disagreement: 0: as the full network's; 1: nothing in common.
        full: the full network on the frame, with what it cost.
        switched_off: why the exit is off from now on; empty while it is on.
    """

    exit: str
    disagreement: float
    full: FrameResult
    switched_off: str = ''


class Auditor:
    """Chooses what is audited, and switches exits off.

    About ``share`` of an exit's answers are audited, the first of all among them. After one that
    disagrees more than the bound, its next answers are, too, until one does not: what breaks is off
    within 50 frames.

    Args:
        bounds: exit → largest mean disagreement, from calibration.
        share: share of the early exits' frames that are audited; 0 for none.
        confidence: one minus the probability that a good exit is ever disabled.
        record: file that keeps disabled exits; None to forget them with the process.

    Attributes:
        off: exit → why it is disabled.

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
        if not 0 <= share <= 1:
            raise ValueError(f'the share of audited answers lies in [0, 1], got {share}')
        self.share = share
        self.confidence = confidence
        self._bounds = dict(bounds or {})
        self._record = record
        self._cases: dict[str, _Case] = {}
        self._rng = np.random.default_rng(0)
        self.off: dict[str, str] = record.read() if record else {}

    def is_due(self, exit_name: str) -> bool:
        """Count an answer of an early exit; whether it is to be audited."""
        if not self.share or exit_name in self.off:
            return False
        case = self._case(exit_name)
        case.wait -= 1
        if case.wait > 0:
            return False
        case.wait = round(self._rng.uniform(1 - _JITTER, 1 + _JITTER) / self.share)
        return True

    def judge(self, exit_name: str, disagreement: float) -> str:
        """Take the outcome of an audit, a disagreement in [0, 1].

        Returns:
            Why the exit is off from now on; empty while it is on.
        """
        case = self._case(exit_name)
        case.recent.append(disagreement)
        if disagreement > case.test.bound:
            case.wait = 1
        if not case.test.update(disagreement):
            return ''
        reason = _reason(case.recent, case.test.bound)
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
    wait: int = 1  # answers until the next audit


def _reason(recent: Sequence[float], bound: float) -> str:
    when = datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M UTC')
    return (
        f'switched off on {when}: its last {len(recent)} checked answers differed from the full '
        f"network's by {float(np.mean(recent)):.0%} on average, where calibration allows "
        f'{bound:.0%}'
    )
