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

"""Perception learns while it drives: its ring of key frames, the action `~/fit`, and new exits."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.task import Future

from e4_ros import extras
from e4_ros.action import Fit
from e4_ros.nodes.diagnostics import status
from e4_ros.nodes.goals import end_goal
from e4_ros.nodes.parameters import value
from e4_ros.paths import state_dir
from e4_ros.perception.fit_folders import FitFolders
from e4_ros.perception.fit_process import FitFailed, FitProcess, FitRequest
from e4_ros.perception.key_frame_ring import KeyFrameRing

if TYPE_CHECKING:
    from e4_ros.nodes.network import Network
    from e4_ros.perception.records import FrameRecord
    from e4_ros.perception.ring_writer import RingWriter

_FRAMES, _RISK, _CONFIDENCE = 600, 0.1, 0.95  # where a goal leaves them open
_END_S = 15.0  # that a fit may take to end


@dataclass
class _Outcome:
    """What a fit left: the action's result, and the network that is to answer from now on."""

    result: Fit.Result
    network: Network | None = None


@dataclass
class _History:
    """Bundles of this activation: those that new exits took the place of, and what came of it."""

    before: list[Path] = field(default_factory=list)
    last: str = 'nothing was fitted yet'
    taken_back: str = ''


class Learning(ManagedEntity):
    """Keeps the ring while it is active, fits exits to it, swaps them in and takes them back.

    Args:
        node: perception; has the ring's parameters.
        network: the network that answers now.
        swap: puts another in its place, between two frames; for the executor's thread.
    """

    def __init__(
        self, node: Node, network: Callable[[], Network], swap: Callable[[Network], None]
    ) -> None:
        self._node, self._network, self._swap = node, network, swap
        chosen, name = value(node, 'ring_dir'), node.get_fully_qualified_name()
        self._folder = (
            Path(chosen).expanduser()
            if chosen
            else state_dir() / 'rings' / name.strip('/').replace('/', '.')
        )
        self._writer: RingWriter | None = None
        self._problem = ''
        self._active = False
        self._fit: FitProcess | None = None
        self._thread: threading.Thread | None = None
        self._busy = self._going_back = False
        self._history = _History()
        self._server = ActionServer(
            node,
            Fit,
            '~/fit',
            execute_callback=self._execute,
            goal_callback=self._judge,
            cancel_callback=self._cancel,
        )

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to keep frames; without a disk to keep them on perception goes on, and says so."""
        from e4_ros.perception.ring_writer import RingWriter

        try:
            ring = KeyFrameRing(self._folder, value(self._node, 'ring_mb'))
        except (OSError, ValueError) as error:
            self._problem = f'no frames are kept: {error}'
            self._node.get_logger().warning(self._problem)
        else:
            self._problem = ''
            self._writer = RingWriter(ring, value(self._node, 'ring_share'))
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End a fit that runs, and give the ring free."""
        self._active = False
        if self._fit is not None:
            self._fit.cancel()
        if self._thread is not None:
            self._thread.join(_END_S)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the action away."""
        self._server.destroy()
        return super().on_cleanup(state)

    def answered(self, frame: np.ndarray, record: FrameRecord, frame_id: str) -> None:
        """A frame's answer is out: leave it for the ring; never waits. The worker's."""
        if self._writer is not None:
            self._writer.offer(frame, record, frame_id)

    def audited(self, network: Network) -> None:
        """An audit is over: go back where all exits that were learned here are proven bad.

        Args:
            network: what was audited.
        """
        engine = network.streams[0].perceiver.engine
        learnt = set(network.learnt) & set(engine.paths)
        if self._going_back or not self._history.before:
            return
        if not learnt or not learnt <= set(engine.off):
            return
        self._going_back = True
        threading.Thread(target=self._go_back, args=(network,), name='back', daemon=True).start()

    def status(self) -> DiagnosticStatus:
        """The ring, and what came of the last fit."""
        values: dict[str, object] = {'bundle': str(self._network().path), 'fit': self._history.last}
        problem = self._problem
        if self._writer is not None:
            values |= self._writer.facts()
            problem = problem or self._writer.problem
        if self._history.taken_back:
            values['taken_back'] = self._history.taken_back
            problem = problem or self._history.taken_back
        return status('learning', problem, self._history.last, values)

    # -- the action ---------------------------------------------------------------------------

    def _judge(self, _goal: Fit.Goal) -> GoalResponse:
        if not self._active or self._busy:
            why = 'another fit runs' if self._active else 'perception is not active'
            self._node.get_logger().warning(f'goal refused: {why}')
            return GoalResponse.REJECT
        self._busy = True
        return GoalResponse.ACCEPT

    def _cancel(self, _handle: ServerGoalHandle) -> CancelResponse:
        if self._fit is not None:  # it waits for the process to end, and the executor cannot
            threading.Thread(target=self._fit.cancel, name='cancel', daemon=True).start()
        return CancelResponse.ACCEPT

    async def _execute(self, handle: ServerGoalHandle) -> Fit.Result:
        """Fit in a thread that waits for the process; swap in the executor's."""
        done: Future = Future(executor=self._node.executor)
        done.add_done_callback(lambda _: None)  # a future nobody called back on wakes no executor
        self._thread = threading.Thread(
            target=lambda: done.set_result(self._learn(handle)), name='fit', daemon=True
        )
        self._thread.start()
        outcome: _Outcome = await done
        self._busy = False
        result = outcome.result
        if outcome.network is not None and not handle.is_cancel_requested:
            self._history.before.append(self._network().path)
            self._history.taken_back = ''
            self._swap(outcome.network)
            result.success = True
        self._history.last = result.message
        self._node.get_logger().info(f'fit: {result.message}')
        end_goal(handle, result.success)
        return result

    def _learn(self, handle: ServerGoalHandle) -> _Outcome:
        try:
            return self._fitted(handle)
        except (FitFailed, ValueError, OSError) as error:
            return _Outcome(Fit.Result(message=str(error)))
        except Exception as error:
            self._node.get_logger().error(f'fitting failed: {error!r}')
            return _Outcome(Fit.Result(message=f'internal error: {error!r}'))
        finally:
            self._fit = None

    def _fitted(self, handle: ServerGoalHandle) -> _Outcome:
        goal: Fit.Goal = handle.request
        self._require_torch(goal)
        if goal.seconds < 0:
            raise ValueError('seconds must be 0, for no limit, or more')
        if self._writer is None:
            raise FitFailed(self._problem or 'no frames are kept')

        def tell(phase: str, done: int, total: int) -> None:
            share = done / total if total else 0.0
            handle.publish_feedback(Fit.Feedback(phase=phase, progress=share))

        tell('starting', 0, 1)
        folders = FitFolders(self._folder / 'fits')
        request = FitRequest(
            ring=self._folder,
            model=self._network().fit_as,
            out=folders.next(),
            frames=goal.frames or _FRAMES,
            risk=goal.risk or _RISK,
            confidence=goal.confidence or _CONFIDENCE,
            more=tuple(value(self._node, 'fit_options')),
        )
        self._fit = FitProcess(request, tell, goal.seconds)
        try:
            found = self._fit.run()
        except FitFailed:
            folders.drop(request.out)
            raise
        used = (*self._history.before, self._network().path, request.out)
        folders.keep_only(used)
        return self._outcome(found, handle)

    def _outcome(self, found: dict[str, Any], handle: ServerGoalHandle) -> _Outcome:
        from e4_ros.nodes.network import load

        result = Fit.Result(
            message=found['words'],
            bundle_path=found['bundle'],
            frames_learned=found['frames_learned'],
            frames_newer=found['frames'],
            early_share=found['early_share'],
            mean_loss=found['mean_loss'],
            f1_before=_number(found['f1_before']),
            f1_after=_number(found['f1_after']),
        )
        if not found['take_over']:
            result.message += '; the exits stay as they were'
            return _Outcome(result)
        handle.publish_feedback(Fit.Feedback(phase='loading', progress=0.0))
        baseline = self._network().streams[0].baseline
        return _Outcome(result, load(self._node, found['bundle'], baseline))

    def _require_torch(self, goal: Fit.Goal) -> None:
        try:
            extras.require('train', 'fitting')
        except extras.MissingExtraError as error:
            risk = goal.risk or _RISK
            raise FitFailed(
                f'{error}. Or copy {self._folder} to a machine that has them, run `e4 fit '
                f'--from-ring COPY --certify {risk:g} --out DIR` there, bring DIR back and set the '
                'parameter model to it'
            ) from None

    # -- the way back -------------------------------------------------------------------------

    def _go_back(self, bad: Network) -> None:
        """Load the bundle before in this thread, and swap it in in the executor's."""
        from e4_ros.nodes.network import load

        before = self._history.before[-1]
        self._history.taken_back = (
            f'the exits of {bad.path} proved worse than certified: back to {before}'
        )
        self._node.get_logger().warning(self._history.taken_back)
        try:
            network = load(self._node, str(before), bad.streams[0].baseline)
        except (ValueError, OSError) as error:  # they stay off, and the network answers
            self._node.get_logger().error(f'{before} cannot be loaded again: {error}')
            return
        assert self._node.executor is not None
        self._node.executor.create_task(self._went_back, network)

    def _went_back(self, network: Network) -> None:
        self._history.before.pop()
        self._swap(network)
        self._going_back = False


def _number(f1: float | None) -> float:
    return math.nan if f1 is None else f1
