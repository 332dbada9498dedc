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

"""What goes over the wire: a few fields that say what a message is, and its bytes.

A message is a Zenoh attachment and a payload. The attachment begins with four letters, the version
of this protocol and a length, then come the fields as JSON. Nothing of it can run code, and nothing
is read beyond what the limits allow.
"""

from __future__ import annotations

import struct
from typing import Annotated, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from e4_ros.offload.codec import TensorEntry
from e4_ros.vision.detections import Detections

VERSION = 1
"""Of the protocol; a robot and a server that speak different ones have nothing to say."""

MOST_FIELDS = 32 << 10
"""Bytes of an attachment, at most."""

MOST_CATALOGUE = 1 << 20
"""Bytes of a server's list of what it offers, at most."""

MOST_DETECTIONS = 4096
"""Detections in an answer, at most."""

_MAGIC = b'e4ed'
_HEAD = struct.Struct('!4sHI')
_ROW = np.dtype([('box', '<f4', 4), ('score', '<f4'), ('label', '<i4')])
_FARTHEST = 1e6  # pixels


class WireError(ValueError):
    """A message that is none, or that says what cannot be."""


class VersionError(WireError):
    """A message of another version of the protocol.

    Attributes:
        version: that version.
    """

    def __init__(self, version: int):
        self.version = version
        super().__init__(
            f'the other side speaks version {version} of the protocol, this one {VERSION}: '
            'install the same e4_ros on both'
        )


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra='forbid')


_Seconds = Annotated[float, Field(allow_inf_nan=False)]
_Word = Annotated[str, Field(max_length=512)]
_Side = Annotated[int, Field(ge=1, le=65535)]


class HelloAsk(_Fields):
    """A robot asks who is there; its payload is ballast.

    Attributes:
        robot: random name of the client.
        known: digest of the catalogue that it has; empty for none.
    """

    robot: _Word
    known: _Word = ''


class HelloReply(_Fields):
    """A server says that it is there; its payload is its catalogue, where the robot has another.

    Attributes:
        incarnation: random name of this start of the server; it is in the key that is asked.
        digest: digest of the catalogue.
        received_s: the server's own clock when the question came.
        replied_s: the same when this was said.
        queue: requests that wait.
        run_s: seconds that a service, or a cut's tail, computes.
    """

    incarnation: str = Field(pattern=r'^[0-9a-f]{16}$')
    digest: _Word
    received_s: _Seconds
    replied_s: _Seconds
    queue: int = Field(default=0, ge=0)
    run_s: dict[_Word, _Seconds] = Field(default_factory=dict, max_length=256)


class ServiceEntry(_Fields):
    """One service of a server.

    Attributes:
        hash: hash of what it computes.
        class_names: class names by label.
        cuts: for the service `tail`, shape by name of the tensors at each cut.
        about: a few words on it.
    """

    hash: _Word
    class_names: tuple[_Word, ...] = ()
    cuts: dict[_Word, dict[_Word, tuple[int, ...]]] = {}
    about: str = Field(default='', max_length=1000)


class Catalogue(_Fields):
    """What a server offers.

    Attributes:
        software: name and version of the program.
        services: services by name.
        codecs: how features and pictures may be packed.
        most_bytes: largest payload that is taken.
    """

    software: _Word
    services: dict[_Word, ServiceEntry]
    codecs: tuple[_Word, ...]
    most_bytes: int = Field(gt=0)


class Ask(_Fields):
    """A robot asks for an answer to a frame; its payload is the packed features or the JPEG.

    Attributes:
        id: number of the request, which the reply repeats.
        robot: random name of the client.
        camera: name of the camera.
        service: service that is asked.
        form: what the payload is, one of `request.FORMS`.
        cut: where the features were taken.
        tensors: what is said about each of them.
        left_s: seconds left until the answer is late, as this was sent: no clock of the robot.
        frame_shape: height and width of the source frame.
        region: part of it that is sent: x0, y0, x1, y1.
        min_score: score below which detections are of no use.
    """

    id: int = Field(ge=0)
    robot: _Word
    camera: _Word = ''
    service: _Word
    form: _Word
    cut: _Word = ''
    tensors: tuple[TensorEntry, ...] = Field(default=(), max_length=16)
    left_s: _Seconds
    frame_shape: tuple[_Side, _Side]
    region: tuple[int, int, int, int] | None = None
    min_score: float = Field(ge=0, le=1)


class Reply(_Fields):
    """What became of a request; its payload is the detections, where there are any.

    Attributes:
        id: number of the request.
        status: ``answered``, ``expired`` or ``refused``.
        reason: why it was refused.
        received_s: the server's own clock when the request came.
        replied_s: the same when this was said.
        queue_s: seconds that it waited.
        run_s: seconds until it was unpacked and computed.
        queue: requests that wait now.
    """

    id: int = Field(ge=0)
    status: str = Field(pattern='^(answered|expired|refused)$')
    reason: str = Field(default='', max_length=2000)
    received_s: _Seconds
    replied_s: _Seconds
    queue_s: _Seconds = 0.0
    run_s: _Seconds = 0.0
    queue: int = Field(default=0, ge=0)


_Kind = TypeVar('_Kind', bound=_Fields)


def seal(fields: BaseModel) -> bytes:
    """The attachment of a message."""
    said = fields.model_dump_json(exclude_defaults=True).encode()
    return _HEAD.pack(_MAGIC, VERSION, len(said)) + said


def opened(attachment: bytes, kind: type[_Kind]) -> _Kind:
    """The fields in an attachment.

    Raises:
        VersionError: it is of another version.
        WireError: it is no such message.
    """
    if len(attachment) > MOST_FIELDS:
        raise WireError(f'an attachment of {len(attachment)} bytes, at most {MOST_FIELDS} are read')
    if len(attachment) < _HEAD.size:
        raise WireError('a message without its head')
    magic, version, length = _HEAD.unpack_from(attachment)
    if magic != _MAGIC:
        raise WireError('a message that is none of e4')
    if version != VERSION:
        raise VersionError(version)
    if length != len(attachment) - _HEAD.size:
        raise WireError(f'{length} bytes of fields announced, {len(attachment) - _HEAD.size} came')
    return parsed(attachment[_HEAD.size :], kind)


def parsed(said: bytes, kind: type[_Kind]) -> _Kind:
    """Fields from their JSON.

    Raises:
        WireError: they are not those of the kind.
    """
    try:
        return kind.model_validate_json(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = '.'.join(map(str, first['loc']))[:100]
        raise WireError(f'fields of {kind.__name__}: {place}: {first["msg"][:200]}') from None


def pack_detections(found: Detections) -> bytes:
    """Detections as bytes, 24 each; of more than `MOST_DETECTIONS` the best."""
    rows = np.empty(min(len(found), MOST_DETECTIONS), _ROW)
    for name, values in (('box', found.boxes), ('score', found.scores), ('label', found.labels)):
        rows[name] = values[: len(rows)]
    return rows.tobytes()


def unpack_detections(payload: bytes, classes: int) -> Detections:
    """Detections again.

    Args:
        payload: what `pack_detections` made.
        classes: number of classes that there are.

    Raises:
        WireError: it is something else, or says what cannot be.
    """
    if len(payload) % _ROW.itemsize or len(payload) > MOST_DETECTIONS * _ROW.itemsize:
        raise WireError(f'{len(payload)} bytes are no detections')
    rows = np.frombuffer(payload, _ROW)
    boxes, scores, labels = rows['box'], rows['score'], rows['label']
    if not (np.abs(boxes) < _FARTHEST).all() or (boxes[:, :2] > boxes[:, 2:]).any():
        raise WireError('a box that is none')
    if not ((scores >= 0) & (scores <= 1)).all():
        raise WireError('a score that is not within 0 and 1')
    if not ((labels >= 0) & (labels < classes)).all():
        raise WireError(f'a class beyond the {classes} that there are')
    return Detections.of(boxes, scores, labels)
