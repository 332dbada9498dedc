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

"""The parameters of the bag player."""

from __future__ import annotations

from e4_ros.bringup.parameter_spec import ParameterSpec

PARAMETERS = (
    ParameterSpec('bag', '', 'ROS 2 bag: its folder, or one .mcap or .db3 file.', read_only=True),
    ParameterSpec(
        'image_topic',
        '',
        'Topic to play as `image` or `image/compressed`; empty for the only one with images.',
        read_only=True,
    ),
    ParameterSpec(
        'all_topics', False, 'Play the other topics too, under their own names.', read_only=True
    ),
    ParameterSpec(
        'topics', [''], 'Other topics to play, such as [/tf, /tf_static, /odom].', read_only=True
    ),
    ParameterSpec('start_s', 0.0, 'Begin so many seconds into the bag.', 0.0, 1e7, read_only=True),
    ParameterSpec(
        'duration_s', 0.0, 'Play so many seconds of it; 0 for all.', 0.0, 1e7, read_only=True
    ),
    ParameterSpec(
        'start_paused',
        False,
        'Stand still until ~/pause or ~/step is called.',
        read_only=True,
    ),
    ParameterSpec('speed', 1.0, '2.0 plays twice as fast.', 0.01, 100.0, read_only=True),
    ParameterSpec('loop', False, 'Start again at the end; time then jumps back.', read_only=True),
    ParameterSpec('clock', False, "Publish the bag's time on /clock.", read_only=True),
    ParameterSpec(
        'clock_hz', 40.0, 'Times a second that /clock is published.', 1.0, 1000.0, read_only=True
    ),
    ParameterSpec(
        'wait_for_subscriber', False, 'Publish nothing until someone listens.', read_only=True
    ),
    ParameterSpec('exit_at_end', False, 'End the process after the last message.', read_only=True),
)
