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

"""What training leaves in memory: a network over frames, its gate, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass

from e4_ros.vision.clips.gates import CascadeGate
from e4_ros.vision.clips.net import ClipNet


@dataclass(frozen=True)
class ClipModel:
    """A trained clip model.

    Attributes:
        net: recurrent network, in eval mode.
        gate: gate of the network, in eval mode.
        class_names: class names by label.
        threshold: score of the gate that is enough to stop, 0 to 1.
    """

    net: ClipNet
    gate: CascadeGate
    class_names: list[str]
    threshold: float
