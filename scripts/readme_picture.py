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

"""Make docs/images/exits.png: a key frame and a frame of tracks, from folders that `e4 run` wrote.

Usage: python scripts/readme_picture.py out/vtest out/bikes
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH = 640  # pixels of each frame


def chosen_frames(lines: list[dict]) -> list[int]:
    """For each exit the frame with the most objects, the full network's first."""
    best: dict[str, tuple[int, int]] = {}
    for line in lines:
        objects = len(line['detections'])
        if objects > best.get(line['exit'], (-1, 0))[0]:
            best[line['exit']] = (objects, line['frame'])
    return [best[name][1] for name in sorted(best, key=lambda name: name != 'full')]


def row(folder: Path) -> np.ndarray:
    """The chosen frames of one run, side by side."""
    lines = [json.loads(text) for text in (folder / 'detections.jsonl').read_text().splitlines()]
    wanted = chosen_frames(lines)
    found: dict[int, np.ndarray] = {}
    with av.open(str(folder / 'annotated.mp4')) as video:
        for line, frame in zip(lines, video.decode(video=0), strict=False):
            if line['frame'] in wanted:
                image = frame.to_ndarray(format='bgr24')
                height = round(WIDTH * image.shape[0] / image.shape[1])
                found[line['frame']] = cv2.resize(
                    image, (WIDTH, height), interpolation=cv2.INTER_AREA
                )
    print(f'{folder}: frames {wanted}')
    return np.hstack([found[index] for index in wanted])


def main() -> None:
    """Read the runs, write the picture."""
    target = Path(__file__).parent.parent / 'docs' / 'images' / 'exits.png'
    target.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(target), np.vstack([row(Path(folder)) for folder in sys.argv[1:]]))


if __name__ == '__main__':
    main()
