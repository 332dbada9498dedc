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

"""The robot's side: it asks an edge server and never waits for it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from e4_ros import extras
from e4_ros.offload.exchange import Answer, EdgeConfig, Offers, Request
from e4_ros.offload.exchanger import Exchanger
from e4_ros.offload.request import LinkState, Offload, ServerState


class EdgeClient:
    """Sends frames or features to an edge server and keeps what comes back.

    Packing, sending and reading happen in a thread of its own; what is called from outside returns
    at once and does not raise whatever the network does. Each camera has one request on its way.

    ::

        with EdgeClient(EdgeConfig('tcp/192.168.1.7:7447'), offers) as client:
            if not client.refusal(offload):
                client.send(Request(stamp_s, offload, started_s, frame.shape, frame=frame))
            ...
            for answer in client.take():
                ...

    Args:
        config: where the server is.
        offers: what the robot itself runs.
    """

    def __init__(self, config: EdgeConfig, offers: Offers):
        self._config = config
        self._exchanger = Exchanger(config, offers)
        self._ledger = self._exchanger.ledger
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Connect, in the client's own thread, and again whenever that is needed.

        Raises:
            MissingExtraError: Zenoh is not installed.
        """
        extras.require('edge', 'a robot that asks an edge server')
        self._exchanger.trouble = 'not connected yet'
        self._thread = threading.Thread(target=self._exchanger.run, name='edge-client', daemon=True)
        self._thread.start()

    def close(self, timeout_s: float = 5.0) -> None:
        """Forget what is on its way, and be gone; what has come can still be taken."""
        if self._thread is not None:
            self._exchanger.stop()
            self._thread.join(timeout_s)
            self._thread = None

    def __enter__(self) -> EdgeClient:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def link(self) -> LinkState:
        """What is known of the way to the server."""
        return self._exchanger.link()

    @property
    def server(self) -> ServerState:
        """What the server offers, and how busy it is; nothing while it does not answer."""
        return self._exchanger.server

    @property
    def counts(self) -> Mapping[str, int]:
        """Requests `sent`, `answered`, of those `late`, `expired`, `refused`, `lost`; `bytes`."""
        return self._ledger.counts

    def refusal(self, offload: Offload, camera: str = '') -> str:
        """Why this cannot be sent now, in a sentence; empty where it can."""
        if reason := self._exchanger.trouble or self._exchanger.match.refusal(offload):
            return reason
        if self._ledger.busy(camera):
            return 'the request before is still on its way'
        return ''

    def send(self, request: Request) -> bool:
        """Hand over a request, to be packed and sent by the client's thread.

        Returns:
            Whether it was taken; `refusal` says why not. What was taken has an `Answer` to come.
        """
        if self.refusal(request.offload, request.camera):
            return False
        if request.tensors is not None:
            tensors = {name: np.array(each) for name, each in request.tensors.items()}
            request = replace(request, tensors=tensors)
        if not self._ledger.begin(request.camera):
            return False
        self._exchanger.put(request)
        return True

    def take(self, camera: str = '') -> list[Answer]:
        """What has come for a camera since the last call, in that order, late ones too."""
        return self._ledger.take(camera)

    def facts(self) -> dict[str, str]:
        """What a person wants to know of the server and the way there."""
        link, match = self.link, self._exchanger.match
        presence = self._exchanger.presence
        facts = {
            'endpoints': ', '.join(self._config.endpoints),
            'state': self._exchanger.trouble or 'connected',
            'software': presence.software,
            'incarnation': presence.incarnation,
            'services': ', '.join(match.usable) or 'none',
            'rate_mbps': f'{link.rate_bps[1] / 1e6:.2f}',
            'round_trip_ms': f'{link.round_trip_s * 1e3:.2f}',
            'loss': f'{link.loss:.2f}',
        }
        facts |= {f'not {name}': reason for name, reason in match.refused.items()}
        return facts | {name: str(count) for name, count in self.counts.items()}
