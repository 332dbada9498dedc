#!/usr/bin/env python3
"""Make docs/images/exits.png: one frame of each exit, from a folder that `e4 run` wrote.

Usage: python scripts/readme_picture.py out/vtest
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
    """For each exit the frame with the most sure detections, shallow exits last."""
    best: dict[str, tuple[int, int]] = {}
    for line in lines:
        sure = sum(d['score'] > 0.5 for d in line['detections'])
        if sure > best.get(line['exit'], (-1, 0))[0]:
            best[line['exit']] = (sure, line['frame'])
    order = sorted(best, key=lambda name: (name != 'full', name == 'temporal', name == 'track'))
    return [best[name][1] for name in order]


def main() -> None:
    """Read the run, write the picture."""
    folder = Path(sys.argv[1])
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
    target = Path(__file__).parent.parent / 'docs' / 'images' / 'exits.png'
    target.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(target), np.hstack([found[index] for index in wanted]))
    print(f'{target}: frames {wanted}')


if __name__ == '__main__':
    main()
