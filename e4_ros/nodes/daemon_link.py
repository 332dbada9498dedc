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

"""Perception's link to the DVFS daemon: gets a lease, keeps asking, and says how it stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rclpy.node import Node
from rclpy.task import Future
from rclpy.timer import Timer

from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient
from e4_ros.nodes.timers import steady_timer
from e4_ros.srv import AcquireLease

if TYPE_CHECKING:
    from e4_ros.perception.live_plan import LivePlan

TakePlan = Callable[[DvfsClient], 'LivePlan']
_SOON_S = 0.1  # between two looks while images wait for the answer


class DaemonLink:
    """Holds the lease while it can be had; without it there are no steps, and that is all.

    Everything here runs in the executor's thread. Another thread may step the clocks of
    :attr:`live`, which is None without a lease.

    Args:
        node: Perception; calls and waits run in its executor.
        daemon: Name of the daemon's node.
        retry_s: Seconds between two tries, and how long an answer may take.
        wait_s: How long a daemon may take to appear before the node goes on without it: one that
            is started beside the node is often a moment later.
        take_plan: Puts a plan in force for a client that got the lease.
        cpus: How many CPUs are needed; 0: all.
    """

    def __init__(
        self,
        node: Node,
        daemon: str,
        retry_s: float,
        wait_s: float,
        take_plan: TakePlan,
        cpus: int = 0,
    ) -> None:
        self.live: LivePlan | None = None
        self.problem = ''
        self._node = node
        self._name = node.get_fully_qualified_name()
        self._retry_s, self._wait_s = retry_s, wait_s
        self._take_plan, self._cpus = take_plan, cpus
        self._service = node.create_client(AcquireLease, f'{daemon}/acquire')
        self._timers: list[Timer] = []
        self._asked_s = self._wait_until_s = 0.0
        self._client: DvfsClient | None = None
        self._answer: Future | None = None
        self._told = ''
        self._settled: Callable[[], None] | None = None

    def start(self, settled: Callable[[], None]) -> None:
        """Begin to ask; ``settled`` is called once it is known whether there are steps."""
        self._settled = settled
        self._wait_until_s = time.monotonic() + self._wait_s
        self._every(self._retry_s)
        self._look_after()
        if self._settled is not None:
            self._every(_SOON_S)

    @property
    def board(self) -> str:
        """Board whose clocks are stepped; empty while there are none."""
        client = self._client
        return '' if client is None else client.board

    def plan_again(self) -> None:
        """Put the first plan of another network in force, if there is a lease."""
        client = self._client
        if client is None:
            return
        try:
            self.live = self._take_plan(client)
        except (ValueError, OSError) as error:
            client.close()
            self._drop_client()
            self._say(str(getattr(error, 'strerror', None) or error))

    def stop(self) -> None:
        """Ask no more, and give the lease back."""
        self._keep_timers(0)
        self._settled = None
        self._forget_request()
        client = self._client
        self._drop_client()
        if client is not None:
            try:
                client.release()
            except DaemonError as error:
                if error.errno is None:  # else it went first, and gave everything back
                    self._node.get_logger().error(f'giving back the clocks: {error}')

    def destroy(self) -> None:
        """Take the service client away."""
        self.stop()
        self._node.destroy_client(self._service)

    def _look_after(self) -> None:
        """Notice a lost daemon; ask for the lease where it is not held."""
        if self._client is not None and self._client.state is ClientState.LOST:
            self._client.close()
            self._drop_client()
            self._say('the daemon is gone')
        if self._client is not None:
            self._look_whether_it_hangs(self._client)
            return
        if self._answer is not None:
            if time.monotonic() - self._asked_s >= self._retry_s:
                self._forget_request()
                self._say(f'{self._service.srv_name} does not answer')
        elif self._service.service_is_ready():
            request = AcquireLease.Request(client=self._name)
            self._asked_s = time.monotonic()
            self._answer = self._service.call_async(request)
            self._answer.add_done_callback(self._answered)
        else:
            self._take('', f'there is no {self._service.srv_name}, and ')

    def _look_whether_it_hangs(self, client: DvfsClient) -> None:
        if client.hangs:
            self._say('the daemon hangs: it holds the clocks and applies no steps')
        elif self.problem:
            self.problem = self._told = ''
            self._node.get_logger().info('the daemon applies steps again')

    def _answered(self, future: Future) -> None:
        if future is not self._answer:
            return
        self._answer = None
        answer: AcquireLease.Response = future.result()
        if answer.success:
            self._take(answer.socket_path)
        else:
            self._say(answer.message, final=True)

    def _take(self, socket_path: str, introduction: str = '') -> None:
        """Take the lease at a socket; an empty path is the one of a daemon without ROS."""
        client = DvfsClient(socket_path or None)
        try:
            client.acquire(self._name, cpus=self._cpus)
            self.live = self._take_plan(client)
        except (ValueError, OSError) as error:
            client.close()
            self._say(f'{introduction}{getattr(error, "strerror", None) or error}')
            return
        self._client = client
        self.problem = self._told = ''
        self._node.get_logger().info(f'stepping the clocks of {client.board}')
        self._settle()

    def _say(self, problem: str, final: bool = False) -> None:
        """Tell a problem once, until there is another or it went away; not while it may yet go."""
        if self._settled is not None and not final and time.monotonic() < self._wait_until_s:
            return
        self.problem = f'{problem}: going on without clock steps'
        if self.problem != self._told:
            self._told = self.problem
            self._node.get_logger().warning(self.problem)
        self._settle()

    def _settle(self) -> None:
        settled, self._settled = self._settled, None
        if settled is not None:
            self._keep_timers(1)
            settled()

    def _every(self, period_s: float) -> None:
        self._timers.append(steady_timer(self._node, period_s, self._look_after))

    def _keep_timers(self, timers: int) -> None:
        for timer in self._timers[timers:]:
            self._node.destroy_timer(timer)
        del self._timers[timers:]

    def _forget_request(self) -> None:
        if self._answer is not None:
            self._service.remove_pending_request(self._answer)
            self._answer = None

    def _drop_client(self) -> None:
        self.live = self._client = None
