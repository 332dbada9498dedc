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

"""A detector's file as somebody brought it, run by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from e4_ros.vision.model import VisionModel

SIZES = 'orig_target_sizes'
"""Input of DETR exports that take the frame's width and height, and answer in its pixels."""

_TYPES = {
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
    'tensor(double)': np.float64,
    'tensor(uint8)': np.uint8,
}


class Original:
    """A session of the untouched file.

    Args:
        path: ONNX file.
        tensors: tensors in its graph that are wanted in the place of its outputs.

    Raises:
        ValueError: it has no such tensor.
    """

    def __init__(self, path: Path, tensors: Sequence[str] = ()) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        model = _giving(path, tensors) if tensors else str(path)
        self._session = ort.InferenceSession(model, options, providers=['CPUExecutionProvider'])
        self.inputs = {slot.name: slot for slot in self._session.get_inputs()}

    def run(self, pixels: np.ndarray, frame_shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """What the file says of one image, by name.

        Args:
            pixels: ``(1, 3, h, w)``, prepared.
            frame_shape: ``(H, W, ...)`` of the frame.

        Raises:
            ValueError: it takes something else than an image.
        """
        feeds = {}
        for name, slot in self.inputs.items():
            if name == SIZES:
                feeds[name] = np.array([frame_shape[1::-1]], np.int64)
            elif slot.type in _TYPES and len(slot.shape) == 4:
                image = pixels.transpose(0, 2, 3, 1) if slot.shape[3] == 3 else pixels
                feeds[name] = image.astype(_TYPES[slot.type])
            else:
                raise ValueError(f'it has an input {name!r} of {slot.type} {slot.shape}')
        names = [slot.name for slot in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, feeds), strict=True))


def original_difference(
    path: Path,
    model: VisionModel,
    named: Mapping[str, str],
    frames: Sequence[np.ndarray],
    ours: Sequence[Mapping[str, np.ndarray]],
) -> float | None:
    """Largest difference between a network's outputs and the same tensors of its file.

    Args:
        path: the file.
        model: prepares frames.
        named: the file's tensor that each output is.
        frames: ``(H, W, 3)`` uint8 RGB.
        ours: the network's outputs for each of them.

    Returns:
        None where the file has no such tensors, or takes something else than an image: then what
        is behind them was put there, and only boxes can be compared.
    """
    try:
        original = Original(path, list(named.values()))
        theirs = [original.run(model.preprocess(frame), frame.shape) for frame in frames]
    except ValueError:
        return None
    return max(
        float(np.abs(found[name].reshape(-1) - said[tensor].reshape(-1)).max(initial=0.0))
        for found, said in zip(ours, theirs, strict=True)
        for name, tensor in named.items()
    )


def _giving(path: Path, tensors: Sequence[str]) -> bytes:
    model = onnx.load(path)
    made = {name for node in model.graph.node for name in node.output}
    if missing := [name for name in tensors if name not in made]:
        raise ValueError(f'{path.name} has no tensor {missing[0]!r}')
    del model.graph.output[:]
    for name in tensors:
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        )
    return bytes(model.SerializeToString())
