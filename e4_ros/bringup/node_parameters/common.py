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

"""Parameters that several nodes share."""

from __future__ import annotations

from e4_ros.bringup.parameter_spec import ParameterSpec

AUTOSTART = ParameterSpec(
    'autostart',
    True,
    'Configure and activate at start; false where a lifecycle manager does it.',
    read_only=True,
)

DIAGNOSTICS_PERIOD = ParameterSpec(
    'diagnostics_period_s',
    1.0,
    'Seconds between two messages on /diagnostics.',
    0.1,
    60.0,
    read_only=True,
)
