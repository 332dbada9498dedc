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

"""A frozen network of the zoo as the eye of clip mode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from e4_ros.vision.clips.motion import motion_map
from e4_ros.vision.networks import Cut, StageError
from e4_ros.vision.networks.torch_export import ModuleProgram
from e4_ros.vision.networks.torch_graph import split
from e4_ros.vision.networks.torch_network import TorchNetwork
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.runtime.interfaces import Buffer, CompiledProgram
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime

_STRIDE = 8  # of the map that motion is read from


@dataclass(frozen=True)
class Seen:
    """What the backbone makes of consecutive frames of one clip.

    Attributes:
        deep: appearance of each frame, ``(T, D)``.
        motion: motion since the frame before, ``(T, 4, h, w)``; zeros for the first frame. See
            `motion_map`.
    """

    deep: Tensor
    motion: Tensor


class ClipBackbone:
    """Features of single frames, and the motion between neighbours, from frozen weights.

    It runs in ONNX Runtime, compiled once for each number of frames at a time.

    Args:
        model: any network of the zoo; its own answer is not used.
        threads: threads of one operation; None for one per core.

    Attributes:
        model: the network with its preprocessing.
        key: changes with the weights and with what this code makes of them.
        deep_size: length of a frame's appearance vector.
        early: channels, rows and columns of the map that motion is read from.
        macs: multiply-accumulates for each frame, without those of the motion.
        bytes_moved: bytes that the layers read and write for each frame.
        layers: operations that a runtime starts one by one.

    Raises:
        StageError: the network has no stage whose map is an eighth of the image.
    """

    def __init__(self, model: TrainableModel, threads: int | None = None):
        self.model = model
        network = model.network
        if not isinstance(network, TorchNetwork):
            raise StageError(
                f'clip mode looks through a network of the zoo, which {model.name} is not'
            )
        self.key = f'{model.name.replace("/", "_")}-{network.fingerprint}-v1'
        self._runtime = OnnxRuntime(threads)
        example, cuts = torch.zeros(1, 3, *model.input_size), network.cuts()
        early, late = _early(model.name, cuts, model.input_size), _late(cuts)
        stages = split(network.module, example, [early.node, late.node])[:2]
        self._network = _EarlyAndLate(stages[0].module, stages[1].module)
        self._by_count: dict[int, tuple[Buffer, CompiledProgram]] = {}
        channels, rows, columns = early.shape[1:]
        self.early = channels, rows, columns
        self.deep_size = late.shape[1]
        self.macs = sum(stage.macs for stage in stages)
        self.bytes_moved = sum(stage.bytes_moved for stage in stages)
        self.layers = sum(stage.layers for stage in stages)

    def program(self, frames: int = 1) -> ModuleProgram:
        """The program from ``image`` ``(T, 3, H, W)`` to the features of ``T`` frames.

        They are ``early`` ``(T, C, h, w)`` and ``appearance`` ``(T, D)``.

        Args:
            frames: number of frames ``T`` at a time.
        """
        inputs = {'image': (frames, 3, *self.model.input_size)}
        return ModuleProgram('backbone', self._network, inputs, ('early', 'appearance'))

    def see(self, frames: np.ndarray) -> Seen:
        """See consecutive frames of one clip.

        Args:
            frames: ``(T, H, W, 3)`` uint8 RGB.
        """
        image, compiled = self._compiled(len(frames))
        for index, frame in enumerate(frames):
            image.write(self.model.preprocess(frame)[0], (index,))
        compiled.run()
        early, deep = (
            torch.from_numpy(compiled.outputs[name].read()) for name in ('early', 'appearance')
        )
        motion = motion_map(early, torch.cat([early[:1], early[:-1]]))
        motion[:1] = 0
        return Seen(deep.clone(), motion)

    def _compiled(self, frames: int) -> tuple[Buffer, CompiledProgram]:
        if frames not in self._by_count:
            program = self.program(frames)
            image = self._runtime.buffer(program.inputs['image'])
            self._by_count[frames] = image, self._runtime.compile(program, {'image': image})
        return self._by_count[frames]


class _EarlyAndLate(nn.Module):
    """Two stages of a network: the first one's map, and the mean over places of the second's."""

    def __init__(self, early: nn.Module, late: nn.Module):
        super().__init__()
        self.early = early
        self.late = late
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        early = self.early(image)
        return early, self.late(early).mean((2, 3))


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
