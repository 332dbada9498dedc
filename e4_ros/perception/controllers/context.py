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

"""What a controller is told when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from e4_ros.perception.active_plan import Stream
from e4_ros.perception.camera_costs import CameraCosts
from e4_ros.perception.controllers.dvfo.choices import Choice
from e4_ros.perception.controllers.policy_net import PolicyNet
from e4_ros.perception.interference import Inflation
from e4_ros.perception.preference import DEFAULT_RESERVE
from e4_ros.perception.versions import Version
from e4_ros.profiling.planning.cost_table import CostTable

State = NDArray[np.float32]
Predict = Callable[[State], int]
"""From a state vector, two numbers a domain and three more, to the number of an action."""


@dataclass(frozen=True)
class Learnt:
    """A policy network that was trained in the simulator, and the scales of its state.

    Attributes:
        predict: the network.
        top_w: power in watts at all clocks' top, busy; powers are divided by it.
        throttle_c: temperature in degrees Celsius at which the board throttles.
        deadline_s: latency bound in seconds that it was trained for.
        domains: names of the domains that it moves; the others stay at their tops.
    """

    predict: Predict
    top_w: float
    throttle_c: float
    deadline_s: float
    domains: tuple[str, ...] = ('cpu', 'gpu')


@dataclass(frozen=True)
class Context:
    """What stays the same while a controller lives.

    Attributes:
        stream: the network's segments and the ways through them.
        domains: names of the domains that may be clocked, as far as a board has them.
        gain: share of energy, 0 to 1, that a plan for drifted exits must save to replace another.
        exit_shares: exit → how often frames stopped there so far; None: each as often as any other.
        table: costs that were measured, to be used in the place of the board's model; None: none.
        table_problem: why there are none, though the user named a file; empty: nothing is wrong.
        bundle: fingerprint of the network that runs, which ``table`` must be of.
        learnt: trained policy networks by controller name; the simulator trains them.
        choices: what can be sent of a frame to an edge server; empty: pictures, whatever runs.
        batches: what batches of the network take on its device; None: it was not measured.
        inflation: predicts how others slow them down; None: nobody does.
        largest: frames that whoever carries decisions out can run at the same time.
        policies: trained policy networks that a robot runs, by controller name.
        versions: versions of the model that are loaded, the one that answers first first; empty:
            there is only ``stream``.
        battery_reserve: charge of the battery, 0 to 1, below which energy begins to weigh more.
    """

    stream: Stream
    domains: Sequence[str] = ('cpu', 'gpu')
    gain: float = 0.02
    exit_shares: Mapping[str, float] | None = None
    table: CostTable | None = None
    table_problem: str = ''
    bundle: str = ''
    learnt: Mapping[str, Learnt] = field(default_factory=dict)
    choices: Sequence[Choice] = ()
    batches: CameraCosts | None = None
    inflation: Inflation | None = None
    largest: int = 1
    policies: Mapping[str, PolicyNet] = field(default_factory=dict)
    versions: Sequence[Version] = ()
    battery_reserve: float = DEFAULT_RESERVE
