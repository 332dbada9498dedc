"""A frozen network of the zoo as the eye of clip mode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from e4_ros.vision.clips.motion import motion_macs, motion_map
from e4_ros.vision.exit_checkpoint import network_hash
from e4_ros.vision.export.graph_split import Cut, StageError, find_cuts, split
from e4_ros.vision.export.onnx_export import ModuleProgram
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime.interfaces import Buffer, Piece
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime

_STRIDE = 8  # of the map that motion is read from


@dataclass(frozen=True)
class Seen:
    """What the backbone makes of consecutive frames.

    Attributes:
        deep: appearance of each frame, ``(T, D)``.
        motion: since the frame before, ``(T, 4, h, w)``; see `motion_map`.
        early: early map of the last frame ``(1, C, h, w)``, to go on with.
    """

    deep: Tensor
    motion: Tensor
    early: Tensor


class ClipBackbone:
    """Features of single frames, and the motion between neighbours, from frozen weights.

    It runs in ONNX Runtime, compiled once for each number of frames at a time.

    Args:
        model: any network of the zoo; its own answer is not used.
        threads: of one operation; None for one per core.

    Attributes:
        name: of the model.
        key: changes with the weights and with what this code makes of them.
        deep_size: length of a frame's appearance vector.
        grid: rows and columns of the motion map.
        macs: multiply-accumulates for each frame, motion included.

    Raises:
        StageError: the network has no stage whose map is an eighth of the image.
    """

    def __init__(self, model: VisionModel, threads: int | None = None):
        self.name = model.name
        self.key = f'{model.name.replace("/", "_")}-{network_hash(model.network)}-v1'
        self._model = model
        self._runtime = OnnxRuntime(threads)
        example = torch.zeros(1, 3, *model.input_size)
        cuts = find_cuts(model.network, example)
        early, late = _early(model.name, cuts, model.input_size), _late(cuts)
        stages = split(model.network, example, [early.node, late.node])[:2]
        self._stages = stages[0].module, _Pooled(stages[1].module)
        self._compiled: dict[int, tuple[Buffer, Piece, Piece]] = {}
        self.grid = early.shape[2], early.shape[3]
        self.deep_size = late.shape[1]
        self.macs = sum(stage.macs for stage in stages) + motion_macs(early.shape[1], *self.grid)

    def see(self, frames: np.ndarray, before: Tensor | None = None) -> Seen:
        """See consecutive frames of one clip.

        Args:
            frames: ``(T, H, W, 3)`` uint8 RGB.
            before: early map of the frame before the first; None if there is none: no motion then.
        """
        image, early_piece, late_piece = self._pieces(len(frames))
        for index, frame in enumerate(frames):
            image.write(self._model.preprocess(frame)[0], (index,))
        early_piece.run()
        late_piece.run()
        early = torch.from_numpy(early_piece.outputs['y'].read())
        first = early[:1] if before is None else before
        motion = motion_map(early, torch.cat([first, early[:-1]]))
        if before is None:
            motion[:1] = 0
        deep = torch.from_numpy(late_piece.outputs['y'].read().copy())
        return Seen(deep, motion, early[-1:].clone())

    def _pieces(self, frames: int) -> tuple[Buffer, Piece, Piece]:
        if frames not in self._compiled:
            image = self._runtime.buffer((frames, 3, *self._model.input_size))
            early = self._compile('early', self._stages[0], image)
            late = self._compile('late', self._stages[1], early.outputs['y'])
            self._compiled[frames] = image, early, late
        return self._compiled[frames]

    def _compile(self, name: str, module: nn.Module, features: Buffer) -> Piece:
        program = ModuleProgram(name, module, {'x': tuple(features.shape)}, ('y',))
        return self._runtime.compile(program, {'x': features})


class _Pooled(nn.Module):
    """A stage, then the mean over places."""

    def __init__(self, stage: nn.Module):
        super().__init__()
        self.stage = stage
        self.eval()

    def forward(self, features: Tensor) -> Tensor:
        return self.stage(features).mean((2, 3))


def _early(name: str, cuts: list[Cut], input_size: tuple[int, int]) -> Cut:
    """The last cut at an eighth of the image; where there is a bottleneck, in it."""
    grid = tuple(-(-side // _STRIDE) for side in input_size)
    there = [cut for cut in cuts if len(cut.shape) == 4 and cut.shape[2:] == grid]
    if not there:
        raise StageError(
            f'nowhere in {name} is a single tensor of {grid[0]} × {grid[1]} cells alive'
        )
    fewest = min(cut.shape[1] for cut in there)
    return [cut for cut in there if cut.shape[1] == fewest][-1]


def _late(cuts: list[Cut]) -> Cut:
    """The last cut that is a map."""
    return [cut for cut in cuts if len(cut.shape) == 4 and min(cut.shape[2:]) > 1][-1]
