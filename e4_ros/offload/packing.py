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

"""A request made ready to be sent: what is said about it, and its bytes."""

from __future__ import annotations

from dataclasses import dataclass

from e4_ros.offload import pictures, wire
from e4_ros.offload.codec import TensorEntry, pack
from e4_ros.offload.exchange import Request
from e4_ros.offload.request import FEATURES


@dataclass(frozen=True)
class Packed:
    """A request that only lacks its number and the time that is left.

    Attributes:
        request: the request.
        tensors: what is said about packed features; empty for pictures.
        payload: the bytes.
    """

    request: Request
    tensors: tuple[TensorEntry, ...]
    payload: bytes

    def ask(self, number: int, robot: str, left_s: float) -> wire.Ask:
        """The fields of its message.

        Args:
            number: number of the request.
            robot: random name of the client.
            left_s: seconds until an answer is late.
        """
        request = self.request
        height, width = map(int, request.frame_shape[:2])
        region = request.region
        return wire.Ask(
            id=number,
            robot=robot,
            camera=request.camera[:256],
            service=request.offload.service,
            form=request.offload.form,
            cut=request.offload.cut,
            tensors=self.tensors,
            left_s=left_s,
            frame_shape=(height, width),
            region=None if region is None else (region[0], region[1], region[2], region[3]),
            min_score=request.min_score,
        )


def packed(request: Request) -> Packed:
    """Pack the features of a request, or its picture.

    Raises:
        CodecError: features are none that can be packed.
    """
    offload = request.offload
    if offload.form == FEATURES:
        assert request.tensors is not None, 'checked when it was made'
        entries, payload = pack(request.tensors, offload.bits)
        return Packed(request, tuple(entries), payload)
    assert request.frame is not None, 'checked when it was made'
    picture = request.frame
    if request.region is not None:
        x0, y0, x1, y1 = request.region
        picture = picture[y0:y1, x0:x1]
    return Packed(request, (), pictures.encode(picture, offload.quality))
