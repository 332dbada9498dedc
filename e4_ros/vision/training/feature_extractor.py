"""A network at work with its tensors at the cuts laid open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from e4_ros.vision.export.assemble import stages_of
from e4_ros.vision.export.onnx_export import ModuleProgram
from e4_ros.vision.inference.stage_chain import StageChain
from e4_ros.vision.models.trainable import TrainableModel
from e4_ros.vision.runtime.interfaces import CompiledProgram
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime


class FeatureExtractor(StageChain):
    """Runs the whole network on a frame and keeps what it computed at each cut.

    Args:
        model: the network.
        cuts: names of traced nodes, in order of execution.
        threads: threads within one operation; None for one per core.
    """

    def __init__(self, model: TrainableModel, cuts: Sequence[str], threads: int | None = None):
        self.threads = threads
        self._runtime = OnnxRuntime(threads, arena=True)
        super().__init__(model, stages_of(model, cuts), self._runtime)

    def attach(self, cut: int, module: nn.Module, outputs: tuple[str, ...]) -> CompiledProgram:
        """Compile an eval-mode module onto the tensor at a cut.

        Args:
            cut: index of the cut.
            module: takes that tensor.
            outputs: names of the outputs.
        """
        features = self.boundaries[cut + 1]
        program = ModuleProgram('attached', module, {'x': tuple(features.shape)}, outputs)
        return self._runtime.compile(program, {'x': features})

    def features(self, cut: int) -> np.ndarray:
        """``(C, h, w)`` at a cut, by its index; a copy in half precision, which is enough."""
        return self.boundaries[cut + 1].read()[0].astype(np.float16)
