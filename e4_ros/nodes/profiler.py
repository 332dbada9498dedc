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

"""The profiler as a ROS node: the action ``~/profile`` searches a frequency plan.

It listens to perception's telemetry for how often frames stop where and how fast they come, and to
the daemon's state for the board, so that a goal may leave both out.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.lifecycle import ManagedEntity, SimpleManagedEntity
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future

from e4_ros.action import Profile as ProfileAction
from e4_ros.bringup.node_parameters.profiler import PARAMETERS
from e4_ros.msg import DvfsState, ExitTelemetry
from e4_ros.nodes.conversions import seconds
from e4_ros.nodes.goals import end_goal
from e4_ros.nodes.lifecycle import AutostartNode, run
from e4_ros.nodes.parameters import value
from e4_ros.paths import state_dir
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.profiling.planning.stream_pace import StreamPace
from e4_ros.profiling.profile import Profile
from e4_ros.profiling.profile_job import profile_model
from e4_ros.profiling.report.page import write_page
from e4_ros.vision.runtime.devices import AUTO, CPU

_DISCOVERY_S = 1.0


class Canceled(Exception):  # noqa: N818
    """The client does not want the plan any more."""


class Profiler(AutostartNode):
    """Takes goals while it is active, one at a time."""

    def __init__(self, **kwargs: Any) -> None:
        self._switch = SimpleManagedEntity()
        super().__init__('profiler', PARAMETERS, **kwargs)
        self._busy = False
        self._exits: dict[str, Counter[str]] = {}
        self._devices: dict[str, str] = {}
        self._paces: dict[str, StreamPace] = {}
        self._board = ''
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(ExitTelemetry, 'perception/exit_telemetry', self._count, 10)
        self.create_subscription(DvfsState, 'dvfs_helper/state', self._look, latched)
        self._server = ActionServer(
            self,
            ProfileAction,
            '~/profile',
            execute_callback=self._execute,
            goal_callback=self._judge,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def parts(self) -> Iterator[ManagedEntity]:
        """The switch that lets goals in; a goal that runs at deactivation may end."""
        yield self._switch

    def _count(self, telemetry: ExitTelemetry) -> None:
        self._exits.setdefault(telemetry.model, Counter())[telemetry.exit_name] += 1
        stamp_s = seconds(telemetry.header)
        self._paces.setdefault(telemetry.model, StreamPace()).observe(stamp_s)
        if len(telemetry.segments) > 1:  # the first one prepares, the deepest is the network
            self._devices[telemetry.model] = telemetry.segments[-1].device

    def _look(self, state: DvfsState) -> None:
        self._board = state.board

    def _judge(self, _goal: ProfileAction.Goal) -> GoalResponse:
        if not self._switch.is_activated or self._busy:
            why = 'another goal runs' if self._switch.is_activated else 'the node is not active'
            self.get_logger().warning(f'goal refused: {why}')
            return GoalResponse.REJECT
        self._busy = True
        return GoalResponse.ACCEPT

    async def _execute(self, handle: ServerGoalHandle) -> ProfileAction.Result:
        """Search in a thread, so that the node goes on answering."""
        done: Future = Future(executor=self.executor)
        done.add_done_callback(lambda _: None)  # a future nobody called back on wakes no executor
        threading.Thread(
            target=lambda: done.set_result(self._answer(handle)), name='profile', daemon=True
        ).start()
        try:
            result: ProfileAction.Result = await done
            if result.success and (other := value(self, 'apply_to')):
                await self._hand_over(result, other)
        finally:
            self._busy = False
        end_goal(handle, result.success)
        return result

    async def _hand_over(self, result: ProfileAction.Result, other: str) -> None:
        """Set the plan as ``plan_file`` of another node; without its consent the goal fails."""
        client = self.create_client(SetParameters, f'{other}/set_parameters')
        try:
            if not client.wait_for_service(_DISCOVERY_S):
                refusal = f'there is no node {other}'
            else:
                plan = Parameter('plan_file', value=result.plan_path).to_parameter_msg()
                answer = await client.call_async(SetParameters.Request(parameters=[plan]))
                refusal = answer.results[0].reason if not answer.results[0].successful else ''
        finally:
            self.destroy_client(client)
        result.success = not refusal
        outcome = f'{other} refuses it: {refusal}' if refusal else f'applied by {other}'
        result.message = f'{result.message}, {outcome}'
        self.get_logger().info(result.message)

    def _answer(self, handle: ServerGoalHandle) -> ProfileAction.Result:
        try:
            return self._result(self._search(handle))
        except Canceled:
            return ProfileAction.Result(success=False, message='canceled')
        except (ValueError, OSError) as error:
            self.get_logger().error(str(error))
            return ProfileAction.Result(success=False, message=str(error))
        except Exception as error:
            self.get_logger().error(f'profiling failed: {error!r}')
            return ProfileAction.Result(success=False, message=f'internal error: {error!r}')

    def _search(self, handle: ServerGoalHandle) -> Profile:
        goal: ProfileAction.Goal = handle.request
        board = goal.board or self._board
        if not board:
            raise ValueError('name a board: no DVFS daemon has said which one this is')
        if len(goal.exit_names) != len(goal.exit_shares):
            raise ValueError('exit_names and exit_shares must be of the same length')
        model = goal.model or value(self, 'model')
        device = value(self, 'device')
        given = dict(zip(goal.exit_names, map(float, goal.exit_shares), strict=True))

        def tell(phase: str, progress: float, energy_j: float) -> None:
            if handle.is_cancel_requested:
                raise Canceled
            handle.publish_feedback(
                ProfileAction.Feedback(phase=phase, progress=progress, best_energy_j=energy_j)
            )

        tell('loading the model', 0.0, math.nan)
        engine = set_up(EngineOptions(model, threads=1, device=CPU)).engine
        name = engine.model.name  # what telemetry calls it
        imagined = self._devices.get(name, '') if device == AUTO else device
        if not imagined:  # the best one here
            engine = set_up(EngineOptions(model, threads=1)).engine
        return profile_model(
            board,
            engine,
            given or dict(self._exits.get(name, {})),
            goal.deadline_s,
            list(goal.domains),
            board_device=imagined,
            period_s=self._period_s(name),
            yardstick=value(self, 'yardstick'),
            on_progress=tell,
        )

    def _period_s(self, model: str) -> float:
        """Seconds from one frame to the next: as given, else as seen; 0: nobody knows."""
        given_ms = value(self, 'period_ms')
        if given_ms:
            return float(given_ms) / 1e3
        return self._paces[model].period_s if model in self._paces else 0.0

    def _result(self, found: Profile) -> ProfileAction.Result:
        plan = found.plan()
        chosen = value(self, 'output_dir')
        folder = Path(chosen).expanduser() if chosen else state_dir() / 'profiles'
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f'{plan.model.replace("/", "_")}-{plan.board}.yaml'
        plan.save(path)
        write_page(found, path.with_suffix('.html'))
        self.get_logger().info(f'wrote {path}')
        return ProfileAction.Result(
            success=True,
            message=f'plan in {path}',
            plan_path=str(path),
            plan_yaml=plan.to_yaml(),
            expected_energy_j=found.best.energy_j,
            expected_latency_s=found.best.latency_s,
            gap_percent=found.gap_percent,
            energy_source=plan.source,
        )


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(Profiler, args)


if __name__ == '__main__':
    main()
