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

"""Which services of a server fit to this robot, and what their answers mean to it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from e4_ros.offload import wire
from e4_ros.offload.codec import CODECS, codec_name
from e4_ros.offload.exchange import Offers
from e4_ros.offload.request import FEATURES, NETWORK, TAIL, Offload
from e4_ros.vision.detections import Detections


class Match:
    """What the robot runs held against what a server offers.

    Args:
        offers: what the robot runs.

    Attributes:
        offers: what the robot runs.
        usable: services that fit, by name.
        refused: service → why it does not fit.
        hashes: hash of each that fits.
        cuts: names of the cuts of the tails that fit.
        most_bytes: largest payload that the server takes.
    """

    def __init__(self, offers: Offers):
        self.offers = offers
        self._labels = {name: label for label, name in enumerate(offers.class_names)}
        self.take(None)

    def take(self, catalogue: wire.Catalogue | None) -> None:
        """Hold another catalogue against what the robot runs; None for no server."""
        usable: dict[str, wire.ServiceEntry] = {}
        refused: dict[str, str] = {}
        for name, entry in ({} if catalogue is None else catalogue.services).items():
            if reason := self._unfit(name, entry):
                refused[name] = reason
            else:
                usable[name] = entry
        self.usable, self.refused = usable, refused
        self.hashes = {name: entry.hash for name, entry in usable.items()}
        self._cut_refusals: dict[str, str] = {}
        self.cuts = self._fitting_cuts(usable.get(TAIL))
        self._codecs = CODECS if catalogue is None else catalogue.codecs
        self.most_bytes = 0 if catalogue is None else catalogue.most_bytes

    def refusal(self, offload: Offload) -> str:
        """Why the server's services do not allow this, in a sentence; empty where they do."""
        service = offload.service
        if not service:
            return 'nothing is asked for'
        if service not in self.usable:
            offered = ', '.join(self.usable) or 'nothing that fits'
            return self.refused.get(service, f'no service {service}: the server has {offered}')
        if offload.form == FEATURES and offload.cut not in self.cuts:
            return self._cut_refusals.get(
                offload.cut, f'the server has no tail from {offload.cut} on'
            )
        codec = codec_name(offload.bits) if offload.form == FEATURES else 'jpeg'
        if codec not in self._codecs:
            return f'the server does not unpack {codec}'
        return ''

    def answer(self, payload: bytes, service: str) -> Detections:
        """The detections in an answer, with the robot's own labels.

        Raises:
            WireError: it is none.
        """
        names = self.usable[service].class_names if service in self.usable else ()
        found = wire.unpack_detections(payload, len(names))
        if service in (TAIL, NETWORK):
            return found  # the hash holds the class names
        table = np.array([self._labels.get(name, -1) for name in names] or [-1], np.int64)
        labels = table[found.labels]
        keep = labels >= 0
        return Detections(found.boxes[keep], found.scores[keep], labels[keep])

    def _unfit(self, name: str, entry: wire.ServiceEntry) -> str:
        if name in (TAIL, NETWORK):
            if entry.hash != self.offers.network:
                return (
                    f'the {name} of the server is that of another network (hash '
                    f'{entry.hash[:8]}, here {self.offers.network[:8]}): give both the same bundle'
                )
            if tuple(entry.class_names) != tuple(self.offers.class_names):
                return f'the {name} of the server has other class names'
        elif not set(entry.class_names) & set(self.offers.class_names):
            return f'the {name} of the server knows none of the classes of this robot'
        return ''

    def _fitting_cuts(self, tails: wire.ServiceEntry | None) -> tuple[str, ...]:
        if tails is None:
            return ()
        fitting, own = [], self.offers.cuts
        for cut, shapes in tails.cuts.items():
            if own is not None and cut not in own:
                self._cut_refusals[cut] = f'this robot cannot take features at {cut}'
            elif own is not None and _plain(own[cut]) != _plain(shapes):
                self._cut_refusals[cut] = f'the tensors at {cut} are others on the server'
            else:
                fitting.append(cut)
        return tuple(fitting)


def _plain(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(shape) for name, shape in shapes.items()}
