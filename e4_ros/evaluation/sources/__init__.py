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

"""Frames from a video, a camera, a stream, a folder of images, a bag or a ring."""

from __future__ import annotations

import re
from pathlib import Path

from e4_ros.evaluation.sources.bag import BagSource
from e4_ros.evaluation.sources.bag_reader import is_bag
from e4_ros.evaluation.sources.base import Source, SourceError
from e4_ros.evaluation.sources.folder import FolderSource
from e4_ros.evaluation.sources.network import NetworkSource, is_address
from e4_ros.evaluation.sources.packaged import PACKAGED, packaged_video
from e4_ros.evaluation.sources.ring import RingSource
from e4_ros.evaluation.sources.video import CameraSource, VideoSource
from e4_ros.perception.key_frame_ring import is_ring

__all__ = ['PACKAGED', 'Source', 'SourceError', 'open_source']

_CAMERA = re.compile(r'/dev/video\d+')


def open_source(text: str, *, topic: str | None = None, fps: float | None = None) -> Source:
    """Open what ``text`` names.

    Args:
        text: A video file, a folder of images, a bag (a ROS 2 bag folder, ``.mcap``, ``.db3`` or a
            ROS 1 ``.bag``), a ring of key frames, ``/dev/videoN``, the address of a stream
            (``rtsp://…``, ``http://…``), or the name of a video that ships in a package: ``bikes``
            or ``vtest``. A file or folder of that name is meant by ``./bikes``.
        topic: The image topic of a bag; needed only where the bag has more than one.
        fps: Frame rate of a folder of images, which knows none of its own (default 10).

    Raises:
        SourceError: nothing there can be read as images; the text says what to do.
    """
    if text in PACKAGED:
        return VideoSource(packaged_video(text), name=text)
    if _CAMERA.fullmatch(text):
        return CameraSource(text)
    if is_address(text):
        return NetworkSource(text)
    path = Path(text).expanduser()
    if not path.exists():
        raise SourceError(
            f'{text} does not exist. A source is a video, a folder of images, a bag, a ring, '
            '/dev/videoN, an address (rtsp://…, http://…), or one of the names '
            f'{", ".join(sorted(PACKAGED))}'
        )
    if is_bag(path):
        return BagSource(path, topic=topic)
    if is_ring(path):
        return RingSource(path)
    if path.is_dir():
        return FolderSource(path, fps=fps or 10.0)
    return VideoSource(path)
