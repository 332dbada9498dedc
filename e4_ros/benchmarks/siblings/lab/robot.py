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

"""The robot of the laboratory, in a process of its own: `python -m … '{"film": …}'`.

It runs what the node runs: the same engine, the same way to the edge server, a worker that takes
the newest image. Only the camera is a film that is in memory already. Its one argument is a JSON
object with the fields of `RobotOptions`. It prints lines of JSON: events (``ready``, ``connected``,
``done``) and one line for each answered frame. From its input it takes lines of JSON, too:
``{"go": frames, "rate": images a second}`` starts the camera, for one drive after the other. It
ends with its input.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from e4_ros.benchmarks.siblings.lab.film import mapped, turn
from e4_ros.benchmarks.siblings.lab.frames import AnsweredFrame, Sent
from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import load_board
from e4_ros.offload.exchange import EdgeConfig, Offers, TlsFiles
from e4_ros.offload.identity import network_hash
from e4_ros.offload.request import LOCAL, Offload, RequestOutcome
from e4_ros.perception.frame_energy import default_cost
from e4_ros.perception.frame_worker import FrameWorker
from e4_ros.perception.offload_stream import FrameOffload, OffloadStream
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.setup import EngineOptions, Setup, set_up
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.ladder import Ladder
from e4_ros.vision.models.described import DescribedModel

if TYPE_CHECKING:
    from e4_ros.offload.client import EdgeClient

_WARM_UPS = 5
_POLL_S = 0.02


@dataclass(frozen=True)
class RobotOptions:
    """What the robot is.

    Attributes:
        film: path of the frames.
        count: number of them.
        shape: ``(H, W, 3)`` of each.
        stamp_rate: frames a second by their stamps.
        model: name or path of the bundle.
        exits: whether frames may be answered by tracks and exits; if not, the network runs on all.
        threads: threads of the network.
        board: board whose model says the joules.
        endpoint: where its server is, ``tcp/host:port`` or ``tls/host:port``; empty: it is alone.
        server_name: first part of the server's keys.
        tls: files of mutual TLS by name, as in `exchange.TlsFiles`; empty for none.
        offload: fields of `Offload`: what it asks for.
        radio_w: watts of its radio while it sends.
    """

    film: str
    count: int
    shape: tuple[int, int, int]
    stamp_rate: float
    model: str = 'pedestrian_ssdlite'
    exits: bool = True
    threads: int = 1
    board: str = 'jetson_nano'
    endpoint: str = ''
    server_name: str = 'e4'
    tls: dict[str, str] = field(default_factory=dict)
    offload: dict[str, Any] = field(default_factory=dict)
    radio_w: float = 1.0

    @property
    def asks_for(self) -> Offload:
        """What is asked of the server."""
        return Offload(**self.offload) if self.offload else LOCAL


class Image(NamedTuple):
    """An image that the camera handed over."""

    number: int
    arrived_s: float


class Worker(ABC):
    """Drives through a film as often as it is told to, and tells of each frame."""

    def __init__(self, options: RobotOptions) -> None:
        self.options = options
        self.frames = mapped(options.film, options.count, options.shape)
        self._number = self._dropped = self._failed = 0

    @abstractmethod
    def answer(self, image: Image) -> AnsweredFrame:
        """Answer one image."""

    def run(self, client: EdgeClient | None) -> None:
        """Do as our input says, until it ends."""
        say({'event': 'ready'})
        if client is not None:
            threading.Thread(target=_tell_connection, args=(client,), daemon=True).start()
        for line in sys.stdin:
            order = json.loads(line)
            if 'go' in order:
                self._drive(int(order['go']), float(order['rate']))

    def _drive(self, frames: int, rate_hz: float) -> None:
        self._dropped = self._failed = 0
        first, began_s = self._number, time.monotonic()
        worker = FrameWorker(self._work, self._drop, self._fail)
        for index in range(frames):
            due_s = began_s + index / rate_hz
            time.sleep(max(due_s - time.monotonic(), 0.0))
            worker.submit(Image(first + index, time.monotonic()))
        self._number += frames
        time.sleep(1 / rate_hz)
        worker.stop()
        counts = {'received': frames, 'dropped': self._dropped, 'failed': self._failed}
        say({'event': 'done', **counts})

    def _work(self, image: Image) -> None:
        say(self.answer(image).to_json())

    def _drop(self, image: Image) -> None:
        self._dropped += 1

    def _fail(self, error: Exception) -> None:
        self._failed += 1
        print(f'{type(error).__name__}: {error}', file=sys.stderr, flush=True)


class _Robot(Worker):
    def __init__(self, options: RobotOptions) -> None:
        super().__init__(options)
        asks_for = options.asks_for
        cuts = (asks_for.cut,) if asks_for.cut else ()
        self._setup = set_up(
            EngineOptions(
                options.model, exits=options.exits, threads=options.threads,
                edge=bool(options.endpoint), cuts=cuts,
            )
        )  # fmt: skip
        self.client: EdgeClient | None = None
        self._way: OffloadStream | None = None
        engine = self._setup.engine
        self._perceiver = Perceiver(engine)
        self._perceiver.warm_up(np.array(self.frames[0]), rounds=_WARM_UPS)
        self._joules = _Joules(self._setup, options.board)
        if options.endpoint:
            self.client = edge_client(options, self._setup)
            self.client.start()
            self._way = OffloadStream(self.client, cuts=cuts, radio_w=options.radio_w)
            self._way.offload = asks_for
            assert isinstance(engine, (Ladder, EarlyExitEngine)), 'clip models are not sent'
            engine.port = self._way

    def answer(self, image: Image) -> AnsweredFrame:
        """Answer an image as the node does."""
        frame = self.frames[turn(image.number, len(self.frames))]
        stamp_s = image.number / self.options.stamp_rate
        began_s = time.monotonic()
        record = self._perceiver.process(frame, stamp_s, image.number)
        ended_s = time.monotonic()
        self._perceiver.audit(frame, record)
        result = record.result
        told = FrameOffload() if self._way is None else self._way.told()
        return AnsweredFrame(
            number=image.number,
            arrived_s=image.arrived_s,
            waited_s=began_s - image.arrived_s,
            latency_s=ended_s - began_s,
            place=told.place,
            exit=result.exit,
            answer=result.detections,
            energy_j=self._joules(result.exit, len(result.segment_s)),
            radio_j=told.radio_j,
            sent_bytes=told.sent_bytes,
            requests=[sent(outcome) for outcome in told.requests],
            link_up=self.client is not None and self.client.link.up,
        )


def edge_client(options: RobotOptions, setup: Setup) -> EdgeClient:
    """The client that asks the server of a robot; it is not started yet."""
    from e4_ros.offload.client import EdgeClient

    manifest = setup.manifest
    model = setup.engine.model
    assert isinstance(model, DescribedModel), 'bundles carry described models'
    offers = Offers(network_hash(model, manifest.origin.network), manifest.class_names)
    tls = TlsFiles(**{n: Path(p) for n, p in options.tls.items()}) if options.tls else None
    return EdgeClient(EdgeConfig(options.endpoint, options.server_name, tls), offers)


def sent(outcome: RequestOutcome) -> Sent:
    """What became of a request, for a line of JSON."""
    return Sent(
        outcome.status,
        outcome.in_time,
        outcome.offload.service,
        outcome.sent_bytes,
        outcome.total_s,
        {name: round(leg_s, 6) for name, leg_s in outcome.legs_s.items()},
    )


def _tell_connection(client: EdgeClient) -> None:
    while not client.link.up:
        time.sleep(_POLL_S)
    say({'event': 'connected'})


class _Joules:
    """Joules of a frame by a board's model, at the clocks that the stock system would choose."""

    def __init__(self, setup: Setup, board: str) -> None:
        self._model = BoardModel(load_board(board))
        self._works, self._paths = setup.works, setup.paths
        self._known: dict[tuple[str, int], float] = {}

    def __call__(self, exit_name: str, ran: int) -> float:
        """Joules of the first ``ran`` segments on the way to an exit."""
        if (exit_name, ran) not in self._known:
            path = list(self._paths[exit_name])[:ran]
            cost = default_cost(self._model, self._works, path)
            self._known[exit_name, ran] = cost.energy_j
        return self._known[exit_name, ran]


_speaking = threading.Lock()


def say(words: dict[str, Any]) -> None:
    """Print a line of JSON."""
    with _speaking:
        print(json.dumps(words), flush=True)


def main(words: str) -> None:
    """Drive as often as we are told to."""
    robot = _Robot(RobotOptions(**json.loads(words)))
    robot.run(robot.client)


if __name__ == '__main__':
    main(sys.argv[1])
