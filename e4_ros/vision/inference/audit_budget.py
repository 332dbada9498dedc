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

"""What audits may compute, so that they stay a small share of what answers do."""

from __future__ import annotations

DEFAULT_SHARE = 0.05
_LOAN = 8  # audits in advance, for an exit of which nothing good is known


class AuditBudget:
    """Keeps the seconds of audits within a share of the seconds of answers.

    An audit may begin when all before it are paid off, or on credit, up to a few audits' cost. So
    after any time audits have computed at most ``share`` of what answers have, and that loan.

    Args:
        share: seconds that audits may compute for each second that answers do, 0 to 1.

    Attributes:
        share: as given.

    Raises:
        ValueError: the share is not in that range.
    """

    def __init__(self, share: float = DEFAULT_SHARE) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f'the share of computation for audits lies in [0, 1], got {share}')
        self.share = share
        self._owed_s = 0.0
        self._audit_s = 0.0  # what the last audit cost
        self._running_s = 0.0

    def earn(self, seconds: float) -> None:
        """An answer took so long to compute."""
        self._owed_s = max(self._owed_s - self.share * seconds, 0.0)

    def spend(self, seconds: float, last: bool) -> None:
        """A pass of an audit took so long; whether it was the audit's last."""
        self._owed_s += seconds
        self._running_s += seconds
        if last:
            self._audit_s, self._running_s = self._running_s, 0.0

    def drop(self) -> None:
        """The audit that runs is given up; what it cost stays spent."""
        self._running_s = 0.0

    def pays(self) -> bool:
        """Whether all audits are paid off."""
        return self._owed_s == 0

    def lends(self) -> bool:
        """Whether there is credit for one more."""
        return self.pays() or self._owed_s + self._audit_s <= _LOAN * self._audit_s
