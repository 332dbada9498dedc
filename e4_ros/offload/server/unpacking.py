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

"""From a message to work: everything that it says is checked before anything is unpacked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from e4_ros.offload import pictures
from e4_ros.offload.codec import CodecError, check_entries, unpack
from e4_ros.offload.request import FEATURES, FRAME, REGION, TAIL
from e4_ros.offload.server.service import Box, Service, Work
from e4_ros.offload.wire import Ask


class RefusedError(ValueError):
    """The server will not do this.

    Attributes:
        kind: the reason in a word or two, to be counted.
    """

    def __init__(self, kind: str, reason: str):
        self.kind = kind
        super().__init__(reason)


def check_ask(ask: Ask, size: int, services: Mapping[str, Service], most_bytes: int) -> None:
    """Refuse a request that cannot be done, by what it says and by the bytes that came.

    Args:
        ask: what it says.
        size: bytes of its payload; nothing of it has been copied yet.
        services: services of the server.
        most_bytes: largest payload that is taken.

    Raises:
        RefusedError: says why.
    """
    if size > most_bytes:
        raise RefusedError('too large', f'{size} bytes came, at most {most_bytes} are taken')
    service = services.get(ask.service)
    if service is None:
        offered = ', '.join(services) or 'nothing'
        raise RefusedError(
            'no such service', f'no service {ask.service!r}; this server offers {offered}'
        )
    if ask.form not in ((FEATURES,) if ask.service == TAIL else (FRAME, REGION)):
        raise RefusedError('other form', f'{ask.service} does not take the form {ask.form!r}')
    if ask.form == FEATURES:
        if ask.cut not in service.cuts:
            raise RefusedError('no such cut', f'no tail from {ask.cut!r} on is offered')
        try:
            check_entries(ask.tensors, service.cuts[ask.cut], size)
        except CodecError as error:
            raise RefusedError('other tensors', str(error)) from None
        return
    if (ask.form == REGION) != (ask.region is not None) or not size:
        raise RefusedError('other form', f'what was sent is not of the form {ask.form}')
    x0, y0, x1, y1 = _place(ask)
    height, width = ask.frame_shape
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise RefusedError('other region', f'the region {ask.region} is outside of the frame')


def work_of(ask: Ask, payload: bytes, service: Service, received_s: float) -> Work:
    """What is to be computed.

    Raises:
        CodecError: the payload is damaged, or becomes more than was announced.
    """
    about = Work(ask.frame_shape, ask.min_score, deadline_s=received_s + ask.left_s)
    if ask.form == FEATURES:
        tensors = unpack(ask.tensors, service.cuts[ask.cut], payload)
        return replace(about, cut=ask.cut, tensors=tensors)
    x0, y0, x1, y1 = place = _place(ask)
    picture = pictures.decode(payload, (int(y1 - y0), int(x1 - x0)))
    return replace(about, picture=picture, place=place)


def _place(ask: Ask) -> Box:
    if ask.region is None:
        return 0.0, 0.0, float(ask.frame_shape[1]), float(ask.frame_shape[0])
    x0, y0, x1, y1 = map(float, ask.region)
    return x0, y0, x1, y1
