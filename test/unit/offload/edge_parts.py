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

"""What tests of edge servers and their robots share: requests, and patience."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping

import numpy as np

from e4_ros.offload.client import EdgeClient
from e4_ros.offload.exchange import Answer, Offers, Request
from e4_ros.offload.request import FEATURES, FRAME, NETWORK, TAIL, Offload
from e4_ros.offload.server.service import Work
from e4_ros.vision.detections import Detections

SHAPE = (120, 160, 3)
PATIENT_S = 60.0  # the machine may be busy


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def until(what: Callable[[], object], patient_s: float = PATIENT_S):
    """What a function returns, once that is true."""
    end_s = time.monotonic() + patient_s
    while not (found := what()):
        assert time.monotonic() < end_s, 'it did not happen'
        time.sleep(0.005)
    return found


def answer(client: EdgeClient, camera: str = '') -> Answer:
    [found] = until(lambda: client.take(camera))
    return found


def connected(client: EdgeClient, offload: Offload) -> None:
    until(lambda: not client.refusal(offload))


def picture_request(stamp_s=0.0, deadline_s=30.0, camera='', seed=0, service=NETWORK) -> Request:
    frame = np.random.default_rng(seed).integers(0, 255, SHAPE).astype(np.uint8)
    offload = Offload(service, FRAME, deadline_s=deadline_s)
    return Request(stamp_s, offload, time.monotonic(), SHAPE, frame=frame, camera=camera)


def feature_request(cut, tensors, stamp_s=0.0, deadline_s=30.0, camera='', bits=8) -> Request:
    offload = Offload(TAIL, FEATURES, cut, bits=bits, deadline_s=deadline_s)
    return Request(stamp_s, offload, time.monotonic(), SHAPE, tensors=tensors, camera=camera)


class Notes:
    """A service of a network that finds one person, notes what it was asked, and can be held up."""

    name, hash, about = NETWORK, 'h', 'notes'
    class_names: tuple[str, ...] = ('person',)
    cuts: Mapping[str, Mapping[str, tuple[int, ...]]] = {}
    largest_batch = 1

    def __init__(self, **changed):
        self.asked: list[Work] = []
        self.go = threading.Event()
        self.go.set()
        for name, value in changed.items():
            setattr(self, name, value)

    def run(self, batch):
        self.asked += batch
        assert self.go.wait(PATIENT_S)
        return [Detections.of(np.array([[1.0, 2, 30, 40]]), np.array([0.9])) for _ in batch]


OFFERS = Offers('h', ('person',))
ASKED = Offload(NETWORK)
