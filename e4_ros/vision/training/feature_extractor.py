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

"""A network at work with its tensors at the cuts laid open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from e4_ros.vision.inference.stage_chain import StageChain
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.runtime.interfaces import CompiledProgram, Program
from e4_ros.vision.runtime.one_per_core import OnePerCore
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.staged_network import Part


class FeatureExtractor(StageChain):
    """Runs the whole network on a frame, with one thread, and keeps what it computed at each cut.

    Args:
        model: the network.
        stages: its stages, between which the cuts lie.
    """

    def __init__(self, model: TrainableModel, stages: Sequence[Part]):
        self._runtime = OnnxRuntime(1, arena=True)
        self._macs = [stage.work.macs for stage in stages]
        super().__init__(model, stages, self._runtime)

    def shape(self, cut: int) -> tuple[int, ...]:
        """``(1, C, h, w)`` of the tensor at a cut, by its index."""
        return self.boundaries[cut + 1].shape

    def macs_behind(self, cut: int) -> int:
        """Multiply-accumulates of the network behind a cut, by its index."""
        return sum(self._macs[cut + 1 :])

    def attach(self, cut: int, program: Program) -> CompiledProgram:
        """Compile a program that takes ``x`` onto the tensor at a cut, by its index."""
        return self._runtime.compile(program, {'x': self.boundaries[cut + 1]})

    def features(self, cut: int) -> np.ndarray:
        """``(C, h, w)`` at a cut, by its index; a copy in half precision, which is enough."""
        return self.boundaries[cut + 1].read()[0].astype(np.float16)


def feature_extractors(
    model: TrainableModel, cuts: Sequence[str] = ()
) -> OnePerCore[FeatureExtractor]:
    """Extractors of one network.

    Args:
        model: the network.
        cuts: names of cuts, in order of execution.
    """
    stages = model.network.stages(cuts)
    return OnePerCore(lambda: FeatureExtractor(model, stages))
