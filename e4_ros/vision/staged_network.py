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

"""A network cut into stages, with its exits: all that an engine needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from e4_ros.vision.class_map import ALL_CLASSES, ClassMap
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime.interfaces import Program


@dataclass(frozen=True)
class Work:
    """What one run asks of the machine.

    Attributes:
        macs: multiply-accumulates.
        bytes_moved: bytes read and written, weights included.
        layers: operations that are started one by one.
    """

    macs: int
    bytes_moved: int
    layers: int

    def __add__(self, other: Work) -> Work:
        """The work of both."""
        return Work(
            self.macs + other.macs,
            self.bytes_moved + other.bytes_moved,
            self.layers + other.layers,
        )


NO_WORK = Work(0, 0, 0)


@dataclass(frozen=True)
class Part:
    """A program of a network, and what one run of it asks of the machine.

    Attributes:
        program: the program.
        work: what one run asks of the machine.
        classes: an exit's classes in the network's labels.
    """

    program: Program
    work: Work
    classes: ClassMap = ALL_CLASSES

    @property
    def name(self) -> str:
        """Name of the stage or exit."""
        return self.program.name


@dataclass(frozen=True)
class StagedNetwork:
    """A network in stages, its exits between them, and what was settled about these.

    Attributes:
        model: preprocessing and decoding of the network.
        stages: stages in order; the first takes ``x``, each other what earlier ones give by its
            name, and the last gives the network's own outputs.
        exits: exits in order of depth; each reads the first output of the stage before it.
        temporal: the learnt temporal exit; None where there is none.
        thresholds: gate threshold by exit name, ``temporal`` included; an exit without one is off.
        audit_bounds: largest mean loss by exit, as audits measure it; from calibration.
        confidence: probability with which those bounds hold.
        rates: share of all frames that each exit answered in calibration, where that is known.
        weights: hash of the network's weights, however it is cut.
        places: index of the stage that each exit lies behind; empty: the i-th behind the i-th.
    """

    model: VisionModel
    stages: Sequence[Part]
    exits: Sequence[Part] = ()
    temporal: Part | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    audit_bounds: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.95
    rates: Mapping[str, float] | None = None
    weights: str = ''
    places: Sequence[int] = ()

    @property
    def exit_behind(self) -> dict[int, Part]:
        """The exit behind a stage, by the stage's index."""
        return dict(zip(self.places or range(len(self.exits)), self.exits, strict=True))

    @property
    def early_exits(self) -> list[str]:
        """Every exit before the whole network, the cheapest first; tracks apart.

        A classifier without a learnt temporal exit has one: its last answer, held.
        """
        temporal = self.temporal is not None or self.model.task == 'classify'
        return [*(['temporal'] if temporal else []), *(part.name for part in self.exits)]

    def without_exits(self) -> StagedNetwork:
        """The network alone."""
        return replace(
            self,
            exits=(),
            temporal=None,
            thresholds={},
            audit_bounds={},
            rates=None,
            places=(),
        )
