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

"""Messages that each hold a packet of a video stream, decoded by PyAV (FFmpeg)."""

from __future__ import annotations

import re
from typing import Any, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from e4_ros.evaluation.sources.video import upright

PACKET_TYPES = (
    'ffmpeg_image_transport_msgs/msg/FFMPEGPacket',
    'foxglove_msgs/msg/CompressedVideo',
)
_CODECS = {
    'h264': re.compile(r'264|avc'),
    'hevc': re.compile(r'265|hevc'),
    'av1': re.compile(r'av1'),
    'vp9': re.compile(r'vp9'),
    'vp8': re.compile(r'vp8'),
    'mpeg4': re.compile(r'mpeg4'),
}


def codec_of(message: Any) -> str:
    """FFmpeg's name of the codec that a message's packet is of; empty where it is a picture.

    A sender may name the encoder (``libx264``, ``hevc_nvenc``), and put more behind a semicolon.
    """
    text = str(getattr(message, 'encoding', '') or getattr(message, 'format', ''))
    first = text.split(';')[0].lower()
    return next((codec for codec, names in _CODECS.items() if names.search(first)), '')


class PacketDecoder:
    """Turns packets into frames; a picture may come out some packets after it went in.

    Attributes:
        waiting: packets whose picture has not come out.
    """

    def __init__(self, codec: str) -> None:
        self._context = cast('VideoCodecContext', av.CodecContext.create(codec, 'r'))
        # Threads of the decoder would take cores from the network whose latency is measured.
        self._context.thread_count = 1
        self._stamps: dict[int, float] = {}
        self._number = 0

    @property
    def waiting(self) -> int:
        """Packets whose picture has not come out."""
        return len(self._stamps)

    def decode(self, data: Any, stamp_s: float) -> list[tuple[float, np.ndarray]]:
        """Pictures that this packet brings out, with the stamps of their own packets.

        Raises:
            av.FFmpegError: it does not decode, as before the first key frame.
        """
        packet = av.Packet(bytes(data))
        packet.pts = packet.dts = self._number
        self._stamps[self._number] = stamp_s
        self._number += 1
        try:
            return self._stamped(self._context.decode(packet))
        except av.FFmpegError:
            self._stamps.pop(self._number - 1, None)
            raise

    def rest(self) -> list[tuple[float, np.ndarray]]:
        """Pictures that are left at the end."""
        return self._stamped(self._context.decode(None))

    def _stamped(self, frames: list[av.VideoFrame]) -> list[tuple[float, np.ndarray]]:
        stamped = []
        for frame in frames:
            stamp = self._stamps.pop(frame.pts if frame.pts is not None else -1, None)
            if stamp is not None:
                stamped.append((stamp, upright(frame)))
        return stamped
