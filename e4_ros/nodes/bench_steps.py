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

"""The ROS sides of `e4 bench dvfs`: `python -m e4_ros.nodes.bench_steps serve|measure|fuzz ...`."""

from __future__ import annotations

import contextlib
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import UInt32
from std_srvs.srv import SetBool

from e4_ros.benchmarks.dvfs.bench_plans import alternating_plan
from e4_ros.benchmarks.dvfs.latency import DOMAINS, measure, percentiles
from e4_ros.energy.client.client import ClientState, DvfsClient
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.daemon.realtime import setup_realtime
from e4_ros.srv import AcquireLease

_DISCOVERY_S = 30.0


def _serve(root: str, state_dir: str, socket_path: str) -> None:
    setup_realtime()
    config = DaemonConfig(root=Path(root), state_dir=Path(state_dir), socket_path=Path(socket_path))
    rclpy.init()
    node = rclpy.create_node('bench_steps')
    with Daemon(config) as daemon:

        def hear(message: UInt32) -> None:
            daemon.core.step(daemon.server.leases[0], 0, message.data)

        def serve(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
            daemon.core.step(daemon.server.leases[0], 0, int(request.data))
            return response

        node.create_subscription(UInt32, 'step', hear, 10)
        node.create_service(SetBool, 'step_service', serve)
        with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
            rclpy.spin(node)


def _measure(socket_path: str, steps: str) -> None:
    rclpy.init()
    node = rclpy.create_node('bench_client')
    publisher = node.create_publisher(UInt32, 'step', 10)
    service = node.create_client(SetBool, 'step_service')
    if not service.wait_for_service(_DISCOVERY_S):
        raise TimeoutError('no step service')
    while not publisher.get_subscription_count():
        rclpy.spin_once(node, timeout_sec=0.1)

    def call(path: int, segment: int) -> None:
        rclpy.spin_until_future_complete(
            node, service.call_async(SetBool.Request(data=bool(segment)))
        )

    def publish(path: int, segment: int) -> None:
        publisher.publish(UInt32(data=segment))

    with DvfsClient(socket_path) as client:
        client.acquire('bench')
        tables = {domain: client.frequencies_hz[domain] for domain in DOMAINS}
        client.set_plan(alternating_plan(client.board, tables))
        by_service = measure(client, int(steps), send=call)
        by_topic = measure(client, int(steps), send=publish)
    print(
        json.dumps(
            {
                'service_us': percentiles(by_service.write_us),
                'topic_us': percentiles(by_topic.write_us),
                'service_client_us': percentiles(by_service.client_us),
                'topic_client_us': percentiles(by_topic.client_us),
            }
        )
    )


def _fuzz(socket_path: str, requests: str) -> None:
    """Ask the real node for the lease under hostile names while another needs the clocks alone."""
    rng = random.Random(1)
    rclpy.init()
    node = rclpy.create_node('bench_stranger')
    acquire = node.create_client(AcquireLease, 'dvfs_helper/acquire')
    if not acquire.wait_for_service(_DISCOVERY_S):
        raise TimeoutError('no DVFS daemon on the ROS graph')
    stolen = tried = 0
    with DvfsClient(socket_path) as holder:
        holder.acquire('holder', exclusive=True)
        holder.set_plan(alternating_plan(holder.board, holder.frequencies_hz))
        for number in range(int(requests)):
            holder.step(0, number % 2)  # one that wants nothing for long makes room for others
            future = acquire.call_async(AcquireLease.Request(client=_nonsense(rng)))
            rclpy.spin_until_future_complete(node, future, timeout_sec=10)
            stolen += future.result() is not None and future.result().success
            tried += future.done()
        holder.status()
        stolen += holder.state is not ClientState.HELD
    print(json.dumps({'tried': tried, 'stolen': stolen}))


def _nonsense(rng: random.Random) -> str:
    length = rng.choice((0, 1, 32, 500, 20_000))
    letters = rng.choice(('abcdef0123456789', '[]{}:,-&*!\n \t"\'', 'ü€\x01\x1b'))
    return ''.join(rng.choices(letters, k=length))


if __name__ == '__main__':
    modes: dict[str, Callable[..., None]] = {
        'serve': _serve,
        'measure': _measure,
        'fuzz': _fuzz,
    }
    modes[sys.argv[1]](*sys.argv[2:])
