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

"""Asks a controller beside the frames, and passes over what it has no good answer to.

Whoever answers frames only leaves outcomes here, which takes a microsecond. A thread of its own
tells them to the controller and asks it for a decision: about the next frame, while the newest one
is being answered or waited for. A decision is passed over where

* the controller raised: that is logged once, and counted;
* it took longer than `MAX_AGE_S`;
* limits, lease or wishes have changed since the controller was shown them: it is asked again.

What is in force then goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

from e4_ros.perception.controller import (
    Controller,
    ControllerError,
    Decision,
    Observation,
    Outcome,
)

MAX_AGE_S = 1.0
"""A decision about what was seen longer ago than so many seconds is passed over."""

MAX_ASK_S = 5.0
"""Whoever asks for the first decision of a lease waits no longer."""

_KEPT = 256  # outcomes; a controller that lags further behind misses the oldest

Look = Callable[[Outcome | None], Observation]
Carry = Callable[[Decision], None]

_log = logging.getLogger(__name__)


class DecisionLoop:
    """The thread beside the frames.

    Args:
        controller: is asked.
        look: makes an observation, given the newest outcome (None before the first).
        carry: carries a decision out; may raise ValueError or OSError.
        now_s: a clock in seconds that never jumps.

    Attributes:
        failures: how often the controller raised, or its decision could not be carried out.
        late: how many decisions took too long.
        outdated: how many decisions were about what has changed since.
        problem: what went wrong last, for people; empty once a decision was carried out.
    """

    def __init__(
        self,
        controller: Controller,
        look: Look,
        carry: Carry,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.failures = self.late = self.outdated = 0
        self.problem = ''
        self._controller, self._look, self._carry, self._now_s = controller, look, carry, now_s
        self._outcomes: deque[Outcome] = deque(maxlen=_KEPT)
        self._last: Outcome | None = None
        self._epoch = 0
        self._told = ''
        self._questions: deque[tuple[Observation, Future[Decision]]] = deque()
        self._wake, self._ending = threading.Event(), False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._ending = False
        self._thread = threading.Thread(target=self._run, name='decisions', daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Ask no more.

        Returns:
            False where the controller was still busy after ``timeout_s`` seconds; whatever it
            decides then is passed over.
        """
        self._ending = True
        self._epoch += 1
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def submit(self, outcome: Outcome) -> None:
        """Leave what became of a frame; never waits."""
        self._outcomes.append(outcome)
        self._wake.set()

    def changed(self) -> None:
        """Limits, lease or wishes are others now: earlier decisions are outdated; ask again."""
        self._epoch += 1
        self._wake.set()

    def ask(self, seen: Observation, timeout_s: float = MAX_ASK_S) -> Decision:
        """Ask the controller now and wait for the answer; earlier decisions are outdated by that.

        Args:
            seen: what is known.
            timeout_s: seconds to wait for a controller that is busy.

        Raises:
            ValueError: nothing can be decided, or not in time.
        """
        self._epoch += 1
        if self._thread is None:
            return self._controller.decide(seen)
        answer: Future[Decision] = Future()
        self._questions.append((seen, answer))
        self._wake.set()
        try:
            return answer.result(timeout_s)
        except FutureTimeout:
            answer.cancel()
            raise ControllerError(f'the controller gave no answer in {timeout_s:g} s') from None

    def turn(self) -> None:
        """Tell all that was left, ask once, and carry the answer out."""
        epoch, seen_s = self._epoch, self._now_s()
        try:
            seen = self._observe()
        except Exception as error:
            self._failed('nothing can be seen', error)
            return
        try:
            decision = self._controller.decide(seen)
        except Exception as error:  # whatever a controller does, the frames go on
            self._failed('the controller failed', error)
            return
        if self._epoch != epoch:
            self.outdated += 1
            return
        if self._now_s() - seen_s > MAX_AGE_S:
            self.late += 1
            self.problem = f'a decision took longer than {MAX_AGE_S:g} s and was passed over'
            return
        try:
            self._carry(decision)
        except (ValueError, OSError) as error:
            self._failed('a decision cannot be carried out', error)
        else:
            self.problem = decision.problem

    def _observe(self) -> Observation:
        """Tell the controller what was left; then see how things stand."""
        while self._outcomes:
            self._last = self._outcomes.popleft()
            try:
                self._controller.observe(self._last)
            except Exception as error:
                self._failed('the controller failed', error)
        return self._look(self._last)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._questions:
                self._reply(*self._questions.popleft())
            if self._ending:
                return
            self.turn()

    def _reply(self, seen: Observation, answer: Future[Decision]) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(self._controller.decide(seen))
        except Exception as error:
            answer.set_exception(error)

    def _failed(self, what: str, error: Exception) -> None:
        self.failures += 1
        self.problem = f'{what}: {error or type(error).__name__}'
        if self.problem != self._told:
            self._told = self.problem
            expected = isinstance(error, (ValueError, OSError))
            _log.warning('%s; going on with what is in force', self.problem, exc_info=not expected)
