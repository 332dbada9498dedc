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

"""Run a graph on a few made-up frames, to see what the numbers in its answer are like.

Shapes do not tell whether a box is two corners or a centre and a size, nor whether it is in pixels;
its numbers do, on any picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import onnx
import onnxruntime as ort

from e4_ros.vision.models.preprocessing import AnyPreprocessing
from e4_ros.vision.onnx_edit import keep_outputs
from e4_ros.vision.onnx_file.read import OnnxFileError

_FRAMES = 2


def frames(size: tuple[int, int]) -> list[np.ndarray]:
    """Made-up frames ``(H, W, 3)`` uint8 of a height and width: bright shapes on coarse noise."""
    random = np.random.default_rng(8)
    found = []
    for _ in range(_FRAMES):
        coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        frame = cv2.resize(coarse, size[::-1])
        for _ in range(6):
            x0, x1 = np.sort(random.integers(0, size[1], 2)).tolist()
            y0, y1 = np.sort(random.integers(0, size[0], 2)).tolist()
            colour = random.integers(0, 256, 3).tolist()
            cv2.rectangle(frame, (x0, y0), (x1, y1), colour, -1)
        found.append(frame)
    return found


def run(
    model: onnx.ModelProto, names: Sequence[str], preprocessing: AnyPreprocessing
) -> list[dict[str, np.ndarray]]:
    """Tensors of a graph for each made-up frame.

    Args:
        model: a prepared model; it is not changed.
        names: tensors that are wanted.
        preprocessing: what turns a frame into the graph's input.

    Raises:
        OnnxFileError: ONNX Runtime cannot run it.
    """
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    keep_outputs(copy, names)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(
            copy.SerializeToString(), options, providers=['CPUExecutionProvider']
        )
        entry = session.get_inputs()[0].name
        return [
            dict(zip(names, session.run(list(names), {entry: preprocessing(frame)}), strict=True))
            for frame in frames(preprocessing.size)
        ]
    except Exception as error:  # ONNX Runtime has an exception for each of its status codes
        first = str(error).strip().splitlines()[0][:300]
        raise OnnxFileError(f'ONNX Runtime cannot run it on a frame: {first}') from error


def are_corners(boxes: np.ndarray) -> bool:
    """Whether boxes ``(N, 4)`` are two corners each: then the second hardly ever comes first."""
    slack = 1e-3 * max(1.0, float(np.abs(boxes).max(initial=0)))
    return bool((boxes[:, 2:] >= boxes[:, :2] - slack).all(1).mean() > 0.95)


def are_shares(boxes: np.ndarray) -> bool:
    """Whether boxes are in shares of the input, not in pixels: no pixel would be that small."""
    return float(np.abs(boxes).max(initial=0)) <= 3


def are_scores(values: np.ndarray) -> bool:
    """Whether numbers lie between 0 and 1."""
    return bool((values >= -1e-4).all() and (values <= 1 + 1e-4).all())
