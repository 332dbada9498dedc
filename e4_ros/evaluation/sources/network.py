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

"""Streams of network cameras: RTSP, MJPEG over HTTP, and what else FFmpeg opens by an address."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import av
import av.container
import numpy as np

from e4_ros.evaluation.sources.base import SourceError
from e4_ros.evaluation.sources.video import VideoSource, upright

_ADDRESS = re.compile(r'(rtsps?|https?|rtmps?|srt|rtp|udp|tcp)://', re.IGNORECASE)
OPEN_S, READ_S = 10.0, 5.0
"""Seconds for a connection, and for a frame on it, after which it counts as broken off."""
RETRY_S, GIVE_UP_S = 1.0, 60.0
"""Seconds between attempts to connect again, and without a frame until the source ends."""


def is_address(text: str) -> bool:
    """Whether ``text`` is the address of a stream."""
    return bool(_ADDRESS.match(text))


class NetworkSource(VideoSource):
    """A stream that comes over the network; one without an end is connected again where it breaks.

    Frames of such a stream are stamped by their arrival, on the monotonic clock, because its own
    stamps begin anew with each connection. A video that lies on a server has an end, and is read
    like a file.

    Raises:
        SourceError: it cannot be opened.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        # Reports and logs must not show the camera's password.
        shown = f'{parts.scheme}://{parts.netloc.rpartition("@")[2]}{parts.path}'
        with _open(address, shown) as container:
            self.repeatable = container.duration is not None
        super().__init__(address, name=shown)
        if not self.repeatable:
            self.frame_count = None

    def _frames(self) -> Iterator[tuple[float, np.ndarray]]:
        if self.repeatable:
            yield from super()._frames()
            return
        last = time.monotonic()
        while time.monotonic() - last < GIVE_UP_S:
            try:
                with self._open() as container:
                    for frame in self._decoded(container):
                        last = time.monotonic()
                        yield last, upright(frame)
                self._report('the stream broke off; connecting again')
            except SourceError as error:
                self._report(str(error))
            time.sleep(RETRY_S)
        self._report(f'no frame for {GIVE_UP_S:.0f} s: it is taken to be at its end')

    def _open(self) -> av.container.InputContainer:
        return _open(str(self._path), self.name)


def _open(address: str, shown: str) -> av.container.InputContainer:
    # Packets of UDP get lost on busy links, and pictures then have holes.
    options = {'rtsp_transport': 'tcp'} if address.lower().startswith('rtsp') else {}
    try:
        return av.open(address, options=options, timeout=(OPEN_S, READ_S))
    except (av.FFmpegError, OSError) as error:
        reason = 'nothing answers' if isinstance(error, av.ExitError) else error.strerror
        raise SourceError(
            f'the stream {shown} cannot be opened ({reason}); check the address, the user and '
            'password in it (rtsp://USER:PASSWORD@HOST/PATH), and that this machine reaches it'
        ) from None
