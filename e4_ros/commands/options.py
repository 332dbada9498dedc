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

"""Options that several commands share, most of them made from the nodes' own parameters.

One rule: an option is spelled like the node parameter that means the same, with `-` for `_`, and
takes its words, range, choices and default from that parameter's entry in
`e4_ros.bringup.node_parameters`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from e4_ros.bringup.node_parameters import (
    dvfs_helper,
    perception,
    profiler,
    replay,
    video_source,
)
from e4_ros.bringup.parameter_spec import ParameterSpec
from e4_ros.perception.controllers import live_spec

SHARED: dict[str, ParameterSpec] = {
    spec.name: spec
    for table in (replay, video_source, profiler, dvfs_helper, perception)
    for spec in table.PARAMETERS
}
"""Name → parameter; where two nodes have one of a name, what perception says of it counts."""

DEFAULTS = {name: spec.default for name, spec in SHARED.items()}
"""Name of a node parameter → its value where nothing is given."""

HERE_PANEL = 'With --board here'
EDGE_PANEL = 'With --edge'


def parameter(
    name: str,
    more: str = '',
    panel: str | None = None,
    check: Callable[[Any], Any] | None = None,
) -> Any:
    """The typer option of a node's parameter; the command's own parameter has the same name.

    Args:
        name: Name of the node parameter.
        more: A sentence that is to be said besides.
        panel: Heading under which the help shows it.
        check: Raises ValueError, with the reason, for a value that cannot be; by default what the
            node checks.
    """
    spec = SHARED[name]
    return typer.Option(
        help=f'{spec.description} {more}'.strip(),
        min=spec.low,
        max=spec.high,
        metavar='|'.join(spec.choices) if spec.choices else None,
        callback=_checked(check or spec.check) if spec.choices else None,
        rich_help_panel=panel,
    )


def _checked(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        try:
            check(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        return value

    return checked


# typer reads these at run time, and Python 3.10's typing wants Optional there.
Model = Annotated[str, parameter('model')]
Controller = Annotated[str, parameter('controller', check=live_spec)]
Runtime = Annotated[str, parameter('runtime')]
Device = Annotated[str, parameter('device')]
Precision = Annotated[str, parameter('precision')]
Threads = Annotated[int, parameter('threads')]
MinScore = Annotated[float, parameter('min_score')]
Tracks = Annotated[bool, parameter('tracks')]
Risk = Annotated[float, parameter('risk')]
Quality = Annotated[str, parameter('quality')]
AuditShare = Annotated[float, parameter('audit_share')]
CheckPay = Annotated[bool, parameter('check_pay')]
WindowS = Annotated[float, parameter('window_s')]
WindowStrideS = Annotated[float, parameter('window_stride_s')]
PlanFile = Annotated[Optional[Path], parameter('plan_file')]  # noqa: UP045
TableFile = Annotated[Optional[Path], parameter('table_file')]  # noqa: UP045
DeadlineS = Annotated[float, parameter('deadline_s')]
Yardstick = Annotated[bool, parameter('yardstick')]
RingShare = Annotated[float, parameter('ring_share')]
EdgeName = Annotated[str, parameter('edge_name', panel=EDGE_PANEL)]
EdgeOffload = Annotated[str, parameter('edge_offload', panel=EDGE_PANEL)]
EdgeBits = Annotated[int, parameter('edge_bits', panel=EDGE_PANEL)]
EdgeQuality = Annotated[int, parameter('edge_quality', panel=EDGE_PANEL)]
EdgeDeadlineS = Annotated[float, parameter('edge_deadline_s', panel=EDGE_PANEL)]
EdgeMeanwhile = Annotated[str, parameter('edge_meanwhile', panel=EDGE_PANEL)]
EdgeCa = Annotated[str, parameter('edge_ca', panel=EDGE_PANEL)]
EdgeCertificate = Annotated[str, parameter('edge_certificate', panel=EDGE_PANEL)]
EdgeKey = Annotated[str, parameter('edge_key', panel=EDGE_PANEL)]
RadioW = Annotated[float, parameter('radio_w', panel=EDGE_PANEL)]
ImageTopic = Annotated[str, parameter('image_topic')]
Frames = Annotated[int, parameter('frames')]

SysfsRoot = Annotated[Path, parameter('sysfs_root')]
StateDir = Annotated[Optional[Path], parameter('state_dir')]  # noqa: UP045
SocketPath = Annotated[Optional[Path], parameter('socket_path')]  # noqa: UP045

BoardDevice = Annotated[
    str,
    typer.Option(
        help='What a board that is only modelled runs the network on, such as cuda; empty for what '
        'runs it here.'
    ),
]
Seed = Annotated[int, typer.Option(min=0, help='The same seed gives the same result.')]
Attention = Annotated[
    bool,
    typer.Option(
        help='Weigh places and remembered frames by attention, or take plain means.',
    ),
]
Memory = Annotated[
    bool,
    typer.Option(
        help='Let exits look at the frames before, or at each frame by itself.',
    ),
]
