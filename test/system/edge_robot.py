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

"""A robot and an edge server in one process, with a real link between them."""

from __future__ import annotations

import time

from e4_ros.offload.client import EdgeClient
from e4_ros.offload.exchange import EdgeConfig, Offers, Request
from e4_ros.offload.identity import network_hash
from e4_ros.offload.request import FRAME, Offload
from e4_ros.offload.server.core import EdgeServer, ServerConfig

PATIENT_S = 120.0


def until(what):
    end_s = time.monotonic() + PATIENT_S
    while not (found := what()):
        assert time.monotonic() < end_s, 'it did not happen'
        time.sleep(0.01)
    return found


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Robot:
    """A robot with the shipped network, and a server of its own."""

    def __init__(self, own, services):
        self.port = free_port()
        self.offers = Offers(network_hash(own.model, own.weights), own.model.class_names)
        self.server = EdgeServer(services, ServerConfig((f'tcp/127.0.0.1:{self.port}',)))

    def __enter__(self):
        self.server.start()
        self.client = EdgeClient(EdgeConfig(f'tcp/127.0.0.1:{self.port}'), self.offers)
        self.client.start()
        until(lambda: self.client.link.up)
        return self

    def __exit__(self, *_):
        self.client.close(5)
        self.server.close()

    def ask(self, service, frame, form=FRAME, region=None):
        offload = Offload(service, form, quality=95, deadline_s=60.0)
        until(lambda: not self.client.refusal(offload))
        request = Request(1.0, offload, time.monotonic(), frame.shape, frame=frame, region=region)
        assert self.client.send(request)
        (answer,) = until(self.client.take)
        assert answer.status == 'answered', answer.reason
        return answer.detections
