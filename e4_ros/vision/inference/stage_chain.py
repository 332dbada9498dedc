"""The stages of a network run whole, one after the other, with the tensors between laid open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime.interfaces import Buffer, CompiledProgram, Runtime
from e4_ros.vision.staged_network import Part


class StageChain:
    """Runs the whole network on a frame, without exits.

    Args:
        model: preprocessing and decoding of the network.
        stages: stages of the network, in order.
        runtime: runtime of the stages.

    Attributes:
        boundaries: the tensor that each stage reads; the first is the network's input.
    """

    def __init__(self, model: VisionModel, stages: Sequence[Part], runtime: Runtime):
        self._model = model
        self.boundaries: list[Buffer] = [runtime.buffer(tuple(stages[0].program.inputs['x']))]
        self._compiled: list[CompiledProgram] = []
        for stage in stages:
            self._compiled.append(runtime.compile(stage.program, {'x': self.boundaries[-1]}))
            if len(self._compiled) < len(stages):
                self.boundaries.append(self._compiled[-1].outputs['y'])

    def see(self, frame: np.ndarray) -> None:
        """Run every stage on an ``(H, W, 3)`` uint8 RGB frame."""
        self.boundaries[0].write(self._model.preprocess(frame))
        for compiled in self._compiled:
            compiled.run()

    def outputs(self) -> dict[str, np.ndarray]:
        """The network's own outputs by name; the next `see` overwrites them."""
        return {name: buffer.read() for name, buffer in self._compiled[-1].outputs.items()}

    def detections(self, frame_shape: tuple[int, ...], min_score: float = 0.2) -> Detections:
        """The network's answer to the frame seen last.

        Args:
            frame_shape: ``(H, W, ...)`` of that frame.
            min_score: score below which detections are left out, 0 to 1.
        """
        return self._model.decode(self.outputs(), frame_shape, min_score)
