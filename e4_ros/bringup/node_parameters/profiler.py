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

"""The parameters of the profiler."""

from __future__ import annotations

from e4_ros.bringup.node_parameters.common import AUTOSTART
from e4_ros.bringup.parameter_spec import ParameterSpec
from e4_ros.vision.runtime.devices import AUTO, NAMES

PARAMETERS = (
    AUTOSTART,
    ParameterSpec(
        'model',
        'pedestrian_ssdlite',
        'Network of a goal that names none: a name, an ONNX file, or the folder of a bundle.',
        live=True,
    ),
    ParameterSpec(
        'device',
        AUTO,
        'Device that a plan is for; auto for the one that perception says it runs on, or the best '
        'one here while there is no perception.',
        choices=NAMES,
        live=True,
    ),
    ParameterSpec(
        'period_ms',
        0.0,
        'Milliseconds from one frame to the next, which a plan waits for as cheaply as it can; 0 '
        "for what perception's telemetry shows, and frames alone while there is none.",
        0.0,
        3_600_000.0,
        live=True,
    ),
    ParameterSpec(
        'output_dir',
        '',
        'Folder for plan and page of each goal; empty for profiles in the state folder (E4_STATE).',
        live=True,
    ),
    ParameterSpec(
        'apply_to',
        '',
        'Node that gets the plan found as its plan_file, such as perception; empty to leave it in '
        'its file.',
        live=True,
    ),
    ParameterSpec(
        'yardstick', True, 'Also find the exact optimum and report the gap to it.', live=True
    ),
)
