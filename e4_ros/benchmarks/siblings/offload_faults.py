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

"""Everything that can go wrong between a robot and its server, one after the other.

One robot lives through all of it. Each phase does something to the link or the server and has a
share of the frames; the robot is told nothing.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from e4_ros.benchmarks.siblings.lab import LinkShape, Running, cpu_share
from e4_ros.benchmarks.siblings.lab.driving import Robot
from e4_ros.benchmarks.siblings.lab.frames import AnsweredFrame, Drive
from e4_ros.benchmarks.siblings.lab.places import python
from e4_ros.benchmarks.siblings.lab.rooms import Room
from e4_ros.benchmarks.siblings.lab.server import Server

FAST = LinkShape()
_LOSS = 0.01
_SLOW_SHARE = 0.05  # of a core, for a server that is overloaded
_BACK_S = 20.0
_LONG_S = 120.0


@dataclass
class Site:
    """The places of a campaign.

    Attributes:
        room: where robot and server are.
        server: the server.
        robot: the robot.
        other: options of one with another bundle.
        name: first part of the server's keys.
        port: where the server listens.
        doubting: a robot whose server's certificate has expired; None where none could be made.
        back_s: from the end of each outage until the server answered again, in seconds.
    """

    room: Room
    server: Server
    robot: Robot
    other: Sequence[str]
    name: str
    port: int
    doubting: Robot | None = None
    back_s: list[float] = field(default_factory=list)

    def await_answer(self) -> None:
        """Note how long it takes from now until the server has answered a new request."""
        began_s = time.monotonic()
        while time.monotonic() < began_s + _BACK_S:
            if any(f.arrived_s > began_s and answered(f) for f in self.robot.frames[-50:]):
                self.back_s.append(time.monotonic() - began_s)
                return
            if self.robot.over(0.01):
                return  # the camera ended first: nothing is known of this one
        self.back_s.append(math.inf)


def answered(frame: AnsweredFrame) -> bool:
    """Whether the server's answer to some request was there with this frame."""
    return any(request.status == 'answered' for request in frame.requests)


@dataclass(frozen=True)
class Phase:
    """One thing that goes wrong.

    Attributes:
        name: what, for people.
        share: of all frames.
        act: does it while the robot drives, and puts right at the end what must not stay.
    """

    name: str
    share: float
    act: Callable[[Site], None]


def _steady(link: LinkShape) -> Callable[[Site], None]:
    return lambda site: site.room.shape(link)


def _outages(site: Site) -> None:
    """The link goes down for a while, again and again."""
    for down_s in (1.0, 2.0, 4.0, 0.5, 3.0) * 100:
        site.room.shape(LinkShape(up=False))
        if site.robot.over(down_s):
            break
        site.room.shape(LinkShape(10e6, _LOSS))
        site.await_answer()
        if site.robot.over(1.0):
            break
    site.room.shape(FAST)


def _kills(site: Site) -> None:
    """The server is killed and started again, again and again."""
    site.room.shape(LinkShape(20e6))
    while not site.robot.over(1.5):
        site.server.kill()
        if site.robot.over(1.0):
            break
        site.server.start()
        site.server.wait_until_it_listens()
        site.await_answer()
    if not site.server.pid:
        site.server.start()
    site.server.wait_until_it_listens()


def _swap(site: Site) -> None:
    """Another bundle, whose hash differs, runs there."""
    site.server.end()
    site.server.start(site.other)
    site.server.wait_until_it_listens()


def _back(site: Site) -> None:
    """The right bundle runs there again."""
    site.server.end()
    site.server.start()
    site.server.wait_until_it_listens()
    site.await_answer()


def _garbage(site: Site) -> None:
    """Another peer sends garbage to the server."""
    address = site.room.listen(site.port)
    command = python('e4_ros.benchmarks.siblings.lab.garbage', address, site.name)
    with Running(site.room.robot, command) as peer:
        site.robot.over(_LONG_S)
        peer.end()


def _slow(site: Site) -> None:
    """The server gets a small share of a core."""
    with contextlib.suppress(OSError), cpu_share(_SLOW_SHARE, 'group') as share:
        share.add(site.server.pid)
        site.robot.over(_LONG_S)


def _shifted(site: Site) -> None:
    """The server's clocks are an hour ahead."""
    site.server.end()
    site.server.start(shifted=True)
    site.server.wait_until_it_listens()
    site.robot.over(_LONG_S)
    site.server.end()
    site.server.start()
    site.server.wait_until_it_listens()


PHASES = (
    Phase('as fast as the machine', 0.09, _steady(FAST)),
    Phase('20 Mbit/s, 1 % lost', 0.08, _steady(LinkShape(20e6, _LOSS))),
    Phase('5 Mbit/s, 1 % lost', 0.08, _steady(LinkShape(5e6, _LOSS))),
    Phase('1 Mbit/s, 1 % lost', 0.08, _steady(LinkShape(1e6, _LOSS))),
    Phase('5 Mbit/s, every third packet lost', 0.08, _steady(LinkShape(5e6, every=3))),
    Phase('link down for 0.5 to 4 s, again and again', 0.14, _outages),
    Phase('server killed and started, again and again', 0.12, _kills),
    Phase('server with another bundle', 0.06, _swap),
    Phase('server with the right bundle again', 0.06, _back),
    Phase('a peer sends garbage', 0.06, _garbage),
    Phase('server has a twentieth of a core', 0.05, _slow),
    Phase('wall clock of the server an hour ahead', 0.05, _shifted),
)
"""What goes wrong, in this order; with that of `EXPIRED` the shares sum to 1."""

EXPIRED, _EXPIRED_SHARE = 'certificate of the server has expired', 0.05


def campaign(
    site: Site,
    frames: int,
    rate_hz: float,
    deadline_s: float,
    progress: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """Live through all of it.

    Args:
        site: where.
        frames: frames in all.
        rate_hz: images a second.
        deadline_s: seconds that a frame may take.
        progress: told the phase and the frames so far.
    """
    rows, drives, done = [], [], 0
    for phase in PHASES:
        count = max(round(frames * phase.share), 1)
        progress(phase.name, done, frames)
        drive = _lived_through(site, phase, count, rate_hz)
        drives.append(drive)
        rows.append({'phase': phase.name, **_row(drive, deadline_s)})
        done += count
    if site.doubting is not None:
        progress(EXPIRED, done, frames)
        drive = _drive_on(site.doubting, max(round(frames * _EXPIRED_SHARE), 1), rate_hz)
        drives.append(drive)
        rows.append({'phase': EXPIRED, **_row(drive, deadline_s)})
    everything = Drive(
        [frame for drive in drives for frame in drive.frames],
        sum(drive.received for drive in drives),
        sum(drive.dropped for drive in drives),
        sum(drive.failed for drive in drives),
    )
    progress('all of it', done, frames)
    added = [1e3 * request.added_s for request in drives[0].requests if request.in_time]
    return {
        'frames': everything.received,
        'answered': len(everything.frames),
        'dropped': everything.dropped,
        'failed': everything.failed,
        'late': everything.late(deadline_s),
        'deadline_ms': deadline_s * 1e3,
        'max_ms': everything.latency_ms(100),
        'recovery_s': max(site.back_s, default=math.nan),
        'recoveries': len(site.back_s),
        'recovery_p50_s': float(np.median(site.back_s)) if site.back_s else math.nan,
        'added_slow_p50_ms': float(np.median(added)) if added else math.nan,
        'phases': rows,
    }


def _lived_through(site: Site, phase: Phase, count: int, rate_hz: float) -> Drive:
    site.robot.go(count, rate_hz)
    phase.act(site)
    return site.robot.result(count / rate_hz + _LONG_S)


def _drive_on(robot: Robot, count: int, rate_hz: float) -> Drive:
    robot.go(count, rate_hz)
    return robot.result(count / rate_hz + _LONG_S)


def _row(drive: Drive, deadline_s: float) -> dict[str, Any]:
    asked = drive.requests
    exits: dict[str, int] = {}
    for frame in drive.frames:
        exits[frame.exit] = exits.get(frame.exit, 0) + 1
    return {
        'frames': drive.received,
        'answered': len(drive.frames),
        'dropped': drive.dropped,
        'late': drive.late(deadline_s),
        'p50_ms': drive.latency_ms(50),
        'p99_ms': drive.latency_ms(99),
        'max_ms': drive.latency_ms(100),
        'requests': len(asked),
        'in_time': sum(request.in_time for request in asked),
        'exits': exits,
    }
