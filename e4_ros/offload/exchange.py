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

"""What is handed to the client for sending, and what comes back; how a client is set up.

Nothing here sends anything, and nothing here needs Zenoh.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from e4_ros.offload.request import FEATURES, REGION, Offload
from e4_ros.vision.detections import Detections

ANSWERED, EXPIRED, REFUSED, LOST = 'answered', 'expired', 'refused', 'lost'
STATUSES = (ANSWERED, EXPIRED, REFUSED, LOST)
"""What becomes of a request: the server computed it; its time was over before anybody had computed
it; the server (or the client, before sending) would not; nobody answered."""

TCP, TLS = 'tcp/', 'tls/'

Region = tuple[int, int, int, int]
"""A part of a frame, ``x0, y0, x1, y1`` in pixels; the last two lie behind it."""


@dataclass(frozen=True)
class Request:
    """One frame, or its features, to be answered elsewhere.

    Attributes:
        stamp_s: stamp of the frame in seconds; its answer has the same.
        offload: what is asked for, and until when.
        started_s: `time.monotonic` of the frame's start, from which its deadline counts.
        frame_shape: ``(H, W, ...)`` of the source frame.
        tensors: features by name, float32; they are copied when the request is handed over.
        frame: ``(H, W, 3)`` uint8 RGB, which nobody writes to again.
        region: part of the frame that is sent, for the form `region`.
        camera: name of the camera; each has one request on its way at most.
        min_score: score below which detections are of no use.
    """

    stamp_s: float
    offload: Offload
    started_s: float
    frame_shape: tuple[int, ...]
    tensors: Mapping[str, np.ndarray] | None = None
    frame: np.ndarray | None = None
    region: Region | None = None
    camera: str = ''
    min_score: float = 0.1

    def __post_init__(self) -> None:
        if not self.offload.service:
            raise ValueError('a request asks for a service; this one is LOCAL')
        if (self.offload.form == FEATURES) != bool(self.tensors):
            raise ValueError(f'the form {self.offload.form} does not go with what is given')
        if (self.offload.form != FEATURES) != (self.frame is not None):
            raise ValueError(f'the form {self.offload.form} does not go with what is given')
        if (self.offload.form == REGION) != (self.region is not None):
            raise ValueError('a region, and nothing else, is sent as the form `region`')
        if self.region is not None:
            x0, y0, x1, y1 = self.region
            height, width = self.frame_shape[:2]
            if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
                raise ValueError(f'the region {self.region} is not within {width}×{height} pixels')

    @property
    def deadline_s(self) -> float:
        """`time.monotonic` from which an answer is late."""
        return self.started_s + self.offload.deadline_s


@dataclass(frozen=True)
class Answer:
    """What became of a request.

    Attributes:
        stamp_s: stamp of the frame.
        status: one of `STATUSES`.
        detections: in pixels of the source frame, without ids, labels in the robot's own order;
            None unless answered.
        late: whether it came after its deadline.
        legs_s: seconds by `request.LEGS`; empty where nothing came back.
        sent_bytes: bytes that went out, 0 where nothing was sent.
        service: service that was asked.
        arrived_s: `time.monotonic` when that was known.
        reason: why there are no detections; empty where there are.
        camera: name of the camera.
    """

    stamp_s: float
    status: str
    detections: Detections | None = None
    late: bool = False
    legs_s: Mapping[str, float] = field(default_factory=dict)
    sent_bytes: int = 0
    service: str = ''
    arrived_s: float = field(default_factory=time.monotonic)
    reason: str = ''
    camera: str = ''


TensorShapes = Mapping[str, tuple[int, ...]]
"""The tensors at a cut: shape by name, in order."""


@dataclass(frozen=True)
class Offers:
    """What the robot itself runs: what a server's answers must fit to.

    Attributes:
        network: `identity.network_hash` of the robot's network; tails and networks must have it.
        class_names: the robot's class names; classes of other services are matched by name, and
            those that it does not know are left out.
        cuts: tensors at each cut where the robot can take features; None: whatever the server has.
    """

    network: str
    class_names: Sequence[str]
    cuts: Mapping[str, TensorShapes] | None = None


@dataclass(frozen=True)
class TlsFiles:
    """Files of mutual TLS, PEM each; all three are needed on both sides.

    Attributes:
        ca: certificate of the authority that has signed the other side's certificate.
        certificate: the own certificate.
        key: private key of that.
    """

    ca: Path
    certificate: Path
    key: Path

    def __post_init__(self) -> None:
        for what in (self.ca, self.certificate, self.key):
            if not Path(what).is_file():
                raise FileNotFoundError(2, 'no such file (for TLS)', str(what))


@dataclass(frozen=True)
class EdgeConfig:
    """How a robot reaches its server.

    Attributes:
        endpoints: where to connect, ``tcp/host:port`` or ``tls/host:port``, all of one kind; the
            first that answers is taken.
        name: name of the server, the beginning of its keys.
        tls: files for ``tls/``; needed there, and refused elsewhere.
        most_bytes: largest request and largest answer.
        patience_s: seconds after its deadline until a request counts as lost.
        quiet_s: seconds without a word from the server until it is asked whether it is there.
        hello_timeout_s: seconds that it has for the answer to that.
        backoff_s: seconds between two such questions to a server that is silent, first and longest.
        probe_bytes: bytes of ballast in such a question, so that the rate of a link on which
            nothing is sent stays known; 0 for none.
    """

    endpoints: tuple[str, ...] | str
    name: str = 'e4'
    tls: TlsFiles | None = None
    most_bytes: int = 8 << 20
    patience_s: float = 0.5
    quiet_s: float = 1.0
    hello_timeout_s: float = 1.0
    backoff_s: tuple[float, float] = (0.5, 8.0)
    probe_bytes: int = 4096

    def __post_init__(self) -> None:
        given = (self.endpoints,) if isinstance(self.endpoints, str) else tuple(self.endpoints)
        object.__setattr__(self, 'endpoints', given)
        check_endpoints(given, self.tls)
        check_name(self.name)


def check_endpoints(endpoints: Sequence[str], tls: TlsFiles | None) -> None:
    """Refuse endpoints that are none, of two kinds, or not protected where files say they are.

    Raises:
        ValueError: says which, and what to do.
    """
    if not endpoints:
        raise ValueError('an edge server needs an endpoint, such as tcp/192.168.1.7:7447')
    for endpoint in endpoints:
        host, _, port = endpoint[len(TCP) :].rpartition(':')
        if not endpoint.startswith((TCP, TLS)) or not host or not port.isdigit():
            raise ValueError(f'{endpoint!r} is no endpoint: write tcp/HOST:PORT, or tls/HOST:PORT')
        if int(port) > 65535 or set('#?;') & set(endpoint):
            raise ValueError(f'{endpoint!r} is no endpoint: ports go up to 65535, options are none')
    kinds = {endpoint[: len(TCP)] for endpoint in endpoints}
    if len(kinds) > 1:
        raise ValueError('tcp/ and tls/ endpoints cannot be mixed: nothing falls back to plain TCP')
    if kinds == {TLS} and tls is None:
        raise ValueError('tls/ needs the files of both sides: authority, own certificate, its key')
    if kinds == {TCP} and tls is not None:
        raise ValueError('files for TLS are given, but the endpoint is plain: write tls/HOST:PORT')


def check_name(name: str) -> None:
    """Refuse a server's name that cannot begin a key.

    Raises:
        ValueError: says what names look like.
    """
    if not name or not all(part and part.isascii() for part in name.split('/')):
        raise ValueError(f'{name!r} is no name of a server: write plain words, such as e4 or lab/2')
    if set('*$?#@ ') & set(name):
        raise ValueError(f'the name {name!r} of a server must not have any of *$?#@ or blanks')
