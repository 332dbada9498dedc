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

"""The parameters of the video that stands for a camera."""

from __future__ import annotations

from e4_ros.bringup.parameter_spec import ParameterSpec

PARAMETERS = (
    ParameterSpec(
        'source',
        'bikes',
        'A video file, a folder of images, a bag, /dev/videoN, the address of a stream (rtsp://…, '
        'http://…), or the videos bikes and vtest.',
        read_only=True,
    ),
    ParameterSpec(
        'rate', 0.0, "Images a second; 0 for the source's own times.", 0.0, 1000.0, read_only=True
    ),
    ParameterSpec('loop', False, 'Start again at the end.', read_only=True),
    ParameterSpec(
        'frames',
        0,
        'Stop after so many frames; 0 for all.',
        0,
        2**31 - 1,
        read_only=True,
    ),
    ParameterSpec(
        'wait_for_subscriber',
        '',
        'Publish nothing until someone listens to this topic; empty to begin at once.',
        choices=('', 'image', 'image/compressed'),
        read_only=True,
    ),
    ParameterSpec('exit_at_end', False, 'End the process after the last image.', read_only=True),
    ParameterSpec('frame_id', 'camera', 'frame_id of every header.', read_only=True),
    ParameterSpec('jpeg_quality', 90, 'Quality of image/compressed.', 1, 100, live=True),
    ParameterSpec(
        'stamps_file',
        '',
        'File for one line "frame,stamp_ns" per published image; empty for none.',
        read_only=True,
    ),
)
