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

"""A server and its robots over this machine's loopback, by real sessions of Zenoh."""

from __future__ import annotations

import time

import pytest
from edge_parts import free_port

from e4_ros.offload.client import EdgeClient
from e4_ros.offload.cuts import best_cuts, offload_cuts
from e4_ros.offload.exchange import EdgeConfig, Offers
from e4_ros.offload.identity import network_hash
from e4_ros.offload.request import NETWORK, TAIL
from e4_ros.offload.server.core import EdgeServer, ServerConfig
from e4_ros.offload.server.own_network import NetworkService, TailService
from e4_ros.vision.bundle import shipped_bundle
from e4_ros.vision.networks.from_bundle import reopened
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime


@pytest.fixture(scope='session')
def model():
    return reopened(shipped_bundle('pedestrian_ssdlite'))


@pytest.fixture(scope='session')
def cuts(model):
    return best_cuts(offload_cuts(model.network))


@pytest.fixture(scope='session')
def offers(model):
    return Offers(network_hash(model, model.network.fingerprint), tuple(model.class_names))


@pytest.fixture(scope='session')
def services(model, cuts):
    runtime = OnnxRuntime(1)
    tail = TailService(model, cuts[-1:], runtime)
    tail.load()
    return {TAIL: tail, NETWORK: NetworkService(model, runtime)}


@pytest.fixture
def serve():
    """Starts servers, and closes them."""
    started = []

    def start(services, port=None, **settings) -> tuple[EdgeServer, str]:
        now = settings.pop('now', time.monotonic)
        scheme = 'tls' if settings.get('tls') else 'tcp'
        endpoint = f'{scheme}/127.0.0.1:{port or free_port()}'
        server = EdgeServer(services, ServerConfig((endpoint,), **settings), now)
        server.start()
        started.append(server)
        return server, endpoint

    yield start
    for server in started:
        server.close()


@pytest.fixture
def ask():
    """Starts clients, and closes them."""
    started = []

    def start(endpoint, offers, **settings) -> EdgeClient:
        client = EdgeClient(EdgeConfig(endpoint, **settings), offers)
        client.start()
        started.append(client)
        return client

    yield start
    for client in started:
        client.close()
