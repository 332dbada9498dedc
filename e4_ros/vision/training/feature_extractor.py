"""A network at work with its tensors at the cuts laid open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from e4_ros.vision.detections import Detections
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime.graph_split import split
from e4_ros.vision.runtime.onnx_runtime import Buffer, OnnxRuntime, Piece


class FeatureExtractor:
    """Runs the whole network on a frame and keeps what it computed at each cut.

    Args:
        model: the network.
        cuts: names of traced nodes, in order of execution.
        threads: threads within one operation; None for one per core.
        runtime: another one than ONNX Runtime with so many threads.
    """

    def __init__(
        self,
        model: VisionModel,
        cuts: Sequence[str],
        threads: int | None = None,
        runtime: OnnxRuntime | None = None,
    ):
        self._model = model
        self.threads = threads
        self._runtime = runtime or OnnxRuntime(threads, arena=True)
        self._input = self._runtime.buffer((1, 3, *model.input_size))
        self._pieces: list[Piece] = []
        boundary: Buffer = self._input
        for stage in split(model.network, torch.zeros(1, 3, *model.input_size), cuts):
            self._pieces.append(self._runtime.compile(stage.module, [boundary], stage=True))
            boundary = self._pieces[-1].outputs[0]

    def attach(self, cut: int, module: nn.Module) -> Piece:
        """Compile an eval-mode module onto the tensor at a cut, by its index."""
        return self._runtime.compile(module, [self._pieces[cut].outputs[0]])

    def see(self, frame: np.ndarray) -> None:
        """Run every stage on an ``(H, W, 3)`` uint8 RGB frame."""
        self._input.write(self._model.preprocess(frame))
        for piece in self._pieces:
            piece.run()

    def features(self, cut: int) -> np.ndarray:
        """``(C, h, w)`` at a cut, by its index; a copy in half precision, which is enough."""
        return self._pieces[cut].outputs[0].read()[0].astype(np.float16)

    def outputs(self) -> list[np.ndarray]:
        """The network's own outputs; the next `see` overwrites them."""
        return [buffer.read() for buffer in self._pieces[-1].outputs]

    def detections(self, frame_shape: tuple[int, ...], min_score: float = 0.2) -> Detections:
        """The network's answer to the frame seen last."""
        return self._model.decode(self.outputs(), frame_shape, min_score)
