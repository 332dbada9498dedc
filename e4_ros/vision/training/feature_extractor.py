"""A network at work with its tensors at the cuts laid open."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from e4_ros.vision.detections import Detections
from e4_ros.vision.export.graph_split import split
from e4_ros.vision.export.onnx_export import ModuleProgram, stage_programs
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime.interfaces import Buffer, Piece, Program
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime


class FeatureExtractor:
    """Runs the whole network on a frame and keeps what it computed at each cut.

    Args:
        model: the network.
        cuts: names of traced nodes, in order of execution.
        threads: threads within one operation; None for one per core.
        adapt: gives what is run in the place of each stage.
    """

    def __init__(
        self,
        model: VisionModel,
        cuts: Sequence[str],
        threads: int | None = None,
        adapt: Callable[[ModuleProgram], Program] = lambda program: program,
    ):
        self._model = model
        self.threads = threads
        self._runtime = OnnxRuntime(threads, arena=True)
        self._input = self._runtime.buffer((1, 3, *model.input_size))
        self._pieces: list[Piece] = []
        boundary: Buffer = self._input
        stages = split(model.network, torch.zeros(1, 3, *model.input_size), cuts)
        shape = tuple(self._input.shape)
        for program in stage_programs(stages, shape, model.output_names):
            self._pieces.append(self._runtime.compile(adapt(program), {'x': boundary}))
            boundary = next(iter(self._pieces[-1].outputs.values()))

    def attach(self, cut: int, module: nn.Module, outputs: tuple[str, ...]) -> Piece:
        """Compile an eval-mode module onto the tensor at a cut.

        Args:
            cut: index of the cut.
            module: takes that tensor.
            outputs: names of what it gives.
        """
        features = self._pieces[cut].outputs['y']
        program = ModuleProgram('attached', module, {'x': tuple(features.shape)}, outputs)
        return self._runtime.compile(program, {'x': features})

    def see(self, frame: np.ndarray) -> None:
        """Run every stage on an ``(H, W, 3)`` uint8 RGB frame."""
        self._input.write(self._model.preprocess(frame))
        for piece in self._pieces:
            piece.run()

    def features(self, cut: int) -> np.ndarray:
        """``(C, h, w)`` at a cut, by its index; a copy in half precision, which is enough."""
        return self._pieces[cut].outputs['y'].read()[0].astype(np.float16)

    def outputs(self) -> dict[str, np.ndarray]:
        """The network's own outputs by name; the next `see` overwrites them."""
        return {name: buffer.read() for name, buffer in self._pieces[-1].outputs.items()}

    def detections(self, frame_shape: tuple[int, ...], min_score: float = 0.2) -> Detections:
        """The network's answer to the frame seen last."""
        return self._model.decode(self.outputs(), frame_shape, min_score)
