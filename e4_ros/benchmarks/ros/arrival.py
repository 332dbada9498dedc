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

"""Whether images arrive: from both kinds of publishers, under overload, by each transport."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from e4_ros import paths
from e4_ros.benchmarks.node_processes import camera, cpu_s, node, ros_domain

RECEIVED_BAR, OVERLOAD_BAR = 0.99, 2.0
_SIZES = {(640, 480): 15.0, (1920, 1080): 10.0}
_LARGE = 1920, 1080
_EVERY_IMAGE = ('controller:=full', 'threads:=1')  # the network runs on every image
_ON_THE_WAY_S = 1.0  # for what was sent last to arrive


class Stay(NamedTuple):
    """What became of a camera's images.

    Attributes:
        sent: images that were published while perception listened.
        received: images that came to perception.
        lost: images that the middleware said were lost.
        warned: whether the log said so.
        processed: images that were answered.
        end_to_end_ms: of each answer, from the image's stamp to its publication.
        engine_ms: of each answer, what the engine took.
        cpu_ms: processor time of an image that was sent or received: camera, perception.
    """

    sent: int
    received: int
    lost: int
    warned: bool
    processed: int
    end_to_end_ms: Sequence[float]
    engine_ms: Sequence[float]
    cpu_ms: tuple[float, float]


def measure(seconds: float) -> dict[str, Any]:
    """Figures for `e4 bench ros`.

    Args:
        seconds: of each run, from its first answer on.
    """
    rows = []
    for size, rate_hz in _SIZES.items():
        for offered in ('reliable', 'best_effort'):
            stay = send(seconds, size, rate_hz, offered)
            accounted = stay.received + stay.lost
            rows.append(
                {
                    'size': f'{size[0]}x{size[1]}',
                    'rate_hz': rate_hz,
                    'publisher': offered,
                    'sent': stay.sent,
                    'received': stay.received,
                    'lost_counted': stay.lost,
                    'warned': stay.warned,
                    'accounted_share': round(accounted / max(stay.sent, 1), 4),
                }
            )
    return {
        'arrival': rows,
        'overload': _overload(seconds),
        'transports': [_transport(name, seconds) for name in _transports()],
    }


def send(
    seconds: float,
    size: tuple[int, int],
    rate_hz: float,
    offered: str = 'reliable',
    transport: str = 'raw',
    parameters: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Stay:
    """Let a camera send to perception for a while; the camera ends first.

    Args:
        seconds: how long, from the first answer on.
        size: width and height of the images, pixels.
        rate_hz: images a second.
        offered: QoS of the publisher.
        transport: ``raw`` or ``compressed``.
        parameters: further ones of perception, as ``name:=value``.
        environment: variables for both processes.
    """
    given = [f'image_transport:={transport}', 'helper:=""', *parameters]
    with tempfile.TemporaryDirectory() as folder, ros_domain() as env:
        env |= environment or {}
        out = Path(folder) / 'seen.json'
        with node('bench_perception', {**env, 'E4_BENCH_OUT': str(out)}, given) as perception:
            with camera(env, size, rate_hz, '', offered, transport) as eye:
                eye.wait_for('first_detection', perception)
                before_s = cpu_s(eye.pid), cpu_s(perception.pid)
                began_s = time.monotonic()
                time.sleep(seconds)
                took_s = time.monotonic() - began_s
                used_s = cpu_s(eye.pid) - before_s[0], cpu_s(perception.pid) - before_s[1]
            time.sleep(_ON_THE_WAY_S)
        seen = json.loads(out.read_text())
    per_image = 1e3 / (rate_hz * took_s)
    return Stay(
        eye.sent,
        seen['came'],
        seen['lost'],
        'lost on the way' in perception.said,
        sum(processed for _, processed in seen['counts'].values()),
        [1e3 * s for s in seen['end_to_end_s']],
        [1e3 * s for s in seen['engine_s']],
        (used_s[0] * per_image, used_s[1] * per_image),
    )


def _overload(seconds: float) -> dict[str, Any]:
    """Twice as many images as the whole network can answer: the newest is answered."""
    calm = send(seconds, (640, 480), 5.0, parameters=_EVERY_IMAGE)
    frame_ms = statistics.median(calm.engine_ms)
    busy = send(seconds, (640, 480), 2e3 / frame_ms, parameters=_EVERY_IMAGE)
    taken_ms = statistics.median(busy.engine_ms)
    p95_ms = statistics.quantiles(busy.end_to_end_ms, n=20)[-1]
    return {
        'rate_hz': round(2e3 / frame_ms, 1),
        'sent': busy.sent,
        'received': busy.received,
        'processed': busy.processed,
        'frame_ms': round(taken_ms, 2),
        'end_to_end_p95_ms': round(p95_ms, 2),
        'p95_in_frames': round(p95_ms / taken_ms, 3),
    }


def _transports() -> dict[str, tuple[str, dict[str, str]]]:
    """Name → transport of the images, and variables that choose DDS's."""
    segment = str(paths.config_dir() / 'fastdds_large_images.xml')
    variables = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
    return {
        'default': ('raw', {}),
        'large_data': ('raw', {'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'}),
        'shared_memory': ('raw', dict.fromkeys(variables, segment)),
        'compressed': ('compressed', {}),
    }


def _transport(name: str, seconds: float) -> dict[str, Any]:
    transport, variables = _transports()[name]
    stay = send(seconds, _LARGE, _SIZES[_LARGE], transport=transport, environment=variables)
    return {
        'transport': name,
        'sent': stay.sent,
        'received': stay.received,
        'end_to_end_p50_ms': round(statistics.median(stay.end_to_end_ms), 2),
        'engine_p50_ms': round(statistics.median(stay.engine_ms), 2),
        'camera_cpu_ms': round(stay.cpu_ms[0], 2),
        'perception_cpu_ms': round(stay.cpu_ms[1], 2),
    }
