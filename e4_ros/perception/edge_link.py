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

"""A robot's edge server: from what a user asks for to the ways of all cameras' frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from e4_ros.offload.client import EdgeClient
from e4_ros.offload.exchange import EdgeConfig, Offers, TlsFiles
from e4_ros.offload.identity import network_hash
from e4_ros.offload.request import (
    AUTO,
    FEATURES,
    FRAME,
    GO_ON,
    LOCAL,
    MODEL,
    NETWORK,
    NONE,
    TAIL,
    TEACHER,
    TRIED,
    LinkState,
    Offload,
    ServerState,
)
from e4_ros.perception.offload_stream import COUNTS, OffloadStream
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.ladder import Ladder

if TYPE_CHECKING:
    from e4_ros.perception.setup import Setup
    from e4_ros.vision.models.described import DescribedModel

_LOOKS = (0.35, 0.7)  # shares of what is left of the network behind what is sent
_DECIDE, _CHOICE = frozenset({'dvfo'}), 2  # families of controllers that decide it; among so many
_LATEST = 0.8  # share of the network's cost before a cut, from which little is left to send away


@dataclass(frozen=True)
class EdgeOptions:
    """What a user says of the edge server.

    Attributes:
        server: endpoints with commas between them, ``tcp/host:port`` or ``tls/host:port``; empty:
            there is no server.
        name: name of the server.
        ca: certificate of the authority, for ``tls/``; empty for none.
        certificate: the robot's own certificate.
        key: its private key.
        offload: one of `TRIED`, or `NONE` to leave it to the controller.
        cuts: names of cuts behind which features may be sent; empty: for `tail` the best one.
        bits: bits of a feature's value, 8 or 4.
        quality: JPEG quality, 1 to 100.
        deadline_s: seconds from the start of a frame until an answer is late.
        meanwhile: what the robot does then, one of `request.MEANWHILE`.
        radio_w: watts of the radio while it sends; 0 models nothing.
    """

    server: str = ''
    name: str = 'e4'
    ca: str = ''
    certificate: str = ''
    key: str = ''
    offload: str = AUTO
    cuts: Sequence[str] = ()
    bits: int = 8
    quality: int = 75
    deadline_s: float = 0.1
    meanwhile: str = GO_ON
    radio_w: float = 0.0

    def __post_init__(self) -> None:
        if self.offload not in (NONE, *TRIED):
            raise ValueError(
                f'{self.offload!r} cannot be asked of an edge server; there are {NONE}, '
                f'{", ".join(TRIED)}'
            )
        object.__setattr__(self, 'cuts', tuple(self.cuts))
        if not 0 <= self.radio_w < 1000:
            raise ValueError(f'a radio of {self.radio_w} W is none')
        self.asking(NETWORK)  # refuses what no request may have

    @property
    def config(self) -> EdgeConfig:
        """How the server is reached.

        Raises:
            ValueError: an endpoint or the name is none, or files are missing or too many.
            FileNotFoundError: a file is not there.
        """
        endpoints = tuple(each.strip() for each in self.server.split(',') if each.strip())
        given = [file for file in (self.ca, self.certificate, self.key) if file]
        if given and len(given) < 3:
            raise ValueError('TLS needs three files: edge_ca, edge_certificate and edge_key')
        paths = [Path(file).expanduser() for file in given]
        return EdgeConfig(endpoints, self.name, TlsFiles(*paths) if paths else None)

    def asking(self, service: str, form: str = FRAME, cut: str = '') -> Offload:
        """A request with these settings."""
        return Offload(service, form, cut, self.bits, self.quality, self.deadline_s, self.meanwhile)


class EdgeCuts(NamedTuple):
    """Where a robot's network is cut for an edge server, names in order of execution.

    Attributes:
        features: behind which features may be sent.
        every: these, and others where the robot looks whether the answer has come.
    """

    features: tuple[str, ...] = ()
    every: tuple[str, ...] = ()


def cuts_for(options: EdgeOptions, folder: Path, controller: str = '') -> EdgeCuts:
    """Cuts that a robot's network needs for what is to be asked.

    Each costs the network a few percent of its time, so they are few. Behind the last place where
    something is sent there are two more: between stages the robot looks whether somebody else was
    faster, and stops there.

    Args:
        options: what the user says.
        folder: the network's bundle.
        controller: name of the controller; one that decides where features are taken needs a
            choice.

    Raises:
        StageError, BundleError: the network cannot be read.
        ValueError: there is no such cut.
    """
    from e4_ros.offload.cuts import best_cuts, named_cuts, offload_cuts
    from e4_ros.vision.networks.from_bundle import reopened

    if not options.server:
        return EdgeCuts()
    possible = offload_cuts(reopened(folder).network)
    features = []
    if options.cuts:
        features = named_cuts(possible, list(options.cuts))
    else:
        worth = best_cuts(possible)
        early = [cut for cut in worth if cut.share <= _LATEST] or worth[:1]
        many = _CHOICE if controller.split(':')[0] in _DECIDE else options.offload == TAIL
        features = early[len(early) - min(int(many), len(early)) :]
    last = max((cut.share for cut in features), default=0.0)
    behind = [cut for cut in possible if cut.share > last]
    looks = [
        min(behind, key=lambda cut: abs(cut.share - (last + part * (1 - last))))
        for part in _LOOKS
        if behind
    ]
    wanted = {cut.cut for cut in (*features, *looks)}
    return EdgeCuts(
        tuple(cut.cut for cut in possible if cut in features),
        tuple(cut.cut for cut in possible if cut.cut in wanted),
    )


class EdgeLink:
    """The client of the edge server, and the ways of all cameras' frames to it.

    Args:
        options: what the user says; there is a server.
        cameras: names of the cameras; an empty one for the only one.

    Raises:
        ValueError, FileNotFoundError: see `EdgeOptions.config`.
    """

    def __init__(self, options: EdgeOptions, cameras: Sequence[str] = ('',)) -> None:
        self.options = options
        self._config, self._cameras = options.config, list(cameras)
        self._client: EdgeClient | None = None
        self._offers: Offers | None = None
        self._features: tuple[str, ...] = ()
        self.streams: list[OffloadStream] = []

    def attach(self, setup: Setup, features: Sequence[str] = ()) -> list[OffloadStream]:
        """Let a network's engines reach the server; another network before it does so no more.

        The client stays while what the robot runs stays the same. A server that runs another
        network is told from it by its hash, and nothing that needs the same one is sent to it.

        Args:
            setup: the network, with one engine for each camera.
            features: cuts at which features are sent where no controller decides it.

        Returns:
            The way of each camera's frames.

        Raises:
            MissingExtraError: Zenoh is not installed.
            ValueError: it is a clip model.
        """
        engines = [_single_frames(engine) for engine in setup.engines]
        shapes = engines[0].cuts
        cuts = {name: shapes[name] for name in setup.cuts}
        model = engines[0].model
        own = network_hash(cast('DescribedModel', model), setup.manifest.origin.network)
        offers = Offers(own, tuple(model.class_names), cuts)
        self._features = tuple(features)
        if self._client is None or offers != self._offers:
            # The client's end may take seconds, and frames are not to wait for it.
            if self._client is not None:
                threading.Thread(target=self._client.close, daemon=True).start()
            self._offers, self._client = offers, EdgeClient(self._config, offers)
            self._client.start()
        before, self.streams = self.streams, []
        for index, (engine, camera) in enumerate(zip(engines, self._cameras, strict=True)):
            way = OffloadStream(self._client, camera, cuts, self._fallback, self.options.radio_w)
            if before:
                way.adopt(before[index])
            engine.port = way
            self.streams.append(way)
        return self.streams

    def wait(self, timeout_s: float) -> bool:
        """Whether the server is reached within so many seconds: for runs, never for robots."""
        end_s = time.monotonic() + timeout_s
        while self.facts().get('state') != 'connected':
            if time.monotonic() > end_s:
                return False
            time.sleep(0.02)
        return True

    def decide(self, offload: Offload) -> None:
        """From the next frame on, this is what is sent."""
        for stream in self.streams:
            stream.offload = offload

    @property
    def link(self) -> LinkState:
        """The way to the server."""
        return LinkState() if self._client is None else self._client.link

    @property
    def server(self) -> ServerState:
        """The server."""
        return ServerState() if self._client is None else self._client.server

    @property
    def counts(self) -> dict[str, int]:
        """`offload_stream.COUNTS` of all cameras together."""
        return {name: sum(way.counts[name] for way in self.streams) for name in COUNTS}

    def facts(self) -> dict[str, str]:
        """What diagnostics show."""
        if self._client is None:
            return {}
        asked = self.streams[0].in_force if self.streams else LOCAL
        words = ' '.join(part for part in (asked.service, asked.form, asked.cut) if part)
        return {
            **self._client.facts(),
            **{name: str(count) for name, count in self.counts.items()},
            'asked': words if asked.service else 'nothing',
        }

    def complaint(self) -> str:
        """Why the robot computes all of it though it should not; empty where that is well."""
        facts = self.facts()
        if facts.get('state', '') != 'connected':
            return f'perception stays local because {facts.get("state", "nothing was loaded yet")}'
        asked = self.streams[0].in_force if self.streams else LOCAL
        reasons = [text for name, text in facts.items() if name.startswith('not ')]
        if not asked.service and self.options.offload != NONE:
            return f'perception stays local because {"; ".join(reasons) or self._unmet()}'
        refusal = self._client.refusal(asked, '?') if self._client and asked.service else ''
        return f'perception stays local because {refusal}' if refusal else ''

    def close(self) -> None:
        """Be gone; what was on its way is lost."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _unmet(self) -> str:
        return f'the server has nothing of what is asked for (edge_offload {self.options.offload})'

    def _fallback(self, server: ServerState) -> Offload:
        common = next((cut for cut in self._features if cut in server.cuts), '')
        return _chosen(self.options, tuple(server.services), common)


@lru_cache(64)
def _chosen(options: EdgeOptions, services: tuple[str, ...], cut: str) -> Offload:
    tried = options.offload
    if tried == AUTO:
        known = [service for service in (TEACHER, MODEL) if service in services]
        known += [TAIL] if TAIL in services and cut else []
        known += [NETWORK] if NETWORK in services else []
        tried = known[0] if known else NONE
    service, _, form = tried.partition('/')
    if service == TAIL:
        return options.asking(TAIL, FEATURES, cut) if cut and TAIL in services else LOCAL
    return options.asking(service, form or FRAME) if service in services else LOCAL


def _single_frames(engine: object) -> EarlyExitEngine:
    found = engine.engine if isinstance(engine, Ladder) else engine
    if not isinstance(found, EarlyExitEngine):
        raise ValueError(
            'a clip model answers windows of many frames, and no edge server does: leave '
            'edge_server empty'
        )
    return found
