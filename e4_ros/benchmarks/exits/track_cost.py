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

"""What the exit `track` costs a frame, in turns with the full network."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import cv2
import numpy as np

from e4_ros.benchmarks.exits.streams import Clip
from e4_ros.benchmarks.exits.ways import MIN_SCORE
from e4_ros.evaluation.perturbations import through_window, window_corners
from e4_ros.evaluation.sources import open_source
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.track_exit import TrackExit

OBJECTS = (5, 30)
_SIZE = 480, 640
_PICTURE = 576, 768
_WARM = 10
_TURN = 5
_KEY_EVERY = 10  # frames after which the objects are put back where they began


def measure_track(
    model: str, threads: int, source: str, frames: int, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Median milliseconds of a frame that tracks answer, and its share of the full network's.

    Real pictures of 640×480 that move, and boxes spread over them, whatever they show: the cost is
    that of following, not of finding.

    Args:
        model: name or path of the bundle.
        threads: within an operation.
        source: video; its pictures are brought to one size before a window moves over them.
        frames: that are answered.
        progress: called with frames done and their number.

    Returns:
        ``track_ms`` and ``track_share`` by the number of objects, and ``full_ms``.
    """
    clip = _moving(source, frames + _WARM)
    options = EngineOptions(model, exits=False, tracks=False, threads=threads)
    full = set_up(options).early_exits
    took: dict[str, list[float]] = {str(count): [] for count in OBJECTS}
    exits = {str(count): _begun(clip, count) for count in OBJECTS}
    full_s: list[float] = []
    for start in range(0, len(clip), _TURN):
        turn = clip[start : start + _TURN]
        for name, tracks in exits.items():
            took[name] += [_answer(tracks, int(name), i + start, *at) for i, at in enumerate(turn)]
        full_s += [full.process_full(frame).latency_s for _, frame in turn]
        progress(start + len(turn), len(clip))
    full_ms = 1e3 * float(np.median(full_s[_WARM:]))
    track_ms = {name: 1e3 * float(np.median(s[_WARM:])) for name, s in took.items()}
    return {
        'full_ms': full_ms,
        'track_ms': track_ms,
        'track_share': {name: ms / full_ms for name, ms in track_ms.items()},
    }


def spread_boxes(count: int) -> Detections:
    """So many boxes of a pedestrian's proportions, spread over the picture."""
    rng = np.random.default_rng(0)
    columns = int(np.ceil(np.sqrt(count * 2)))
    rows = int(np.ceil(count / columns))
    height, width = _SIZE
    x, y = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    centre = np.column_stack([x.ravel() * width, y.ravel() * height])[:count]
    half = rng.uniform(0.7, 1.3, (count, 1)) * [15.0, 35.0]
    return Detections.of(np.concatenate([centre - half, centre + half], 1), np.full(count, 0.9))


def _answer(tracks: TrackExit, count: int, index: int, stamp_s: float, frame: np.ndarray) -> float:
    """Seconds of the answer; every few frames the boxes are put back, which is not counted."""
    began = time.perf_counter()
    tracks.look(frame, stamp_s)
    said = tracks.answer()
    took = time.perf_counter() - began
    tracks.skip()
    if index % _KEY_EVERY == 0 or len(said) < count:
        tracks.tracker.reset()
        tracks.look(frame, stamp_s)
        tracks.key(spread_boxes(count))
    return took


def _begun(clip: Clip, count: int) -> TrackExit:
    tracks = TrackExit(MIN_SCORE)
    tracks.look(clip[0][1], clip[0][0])
    tracks.key(spread_boxes(count))
    return tracks


def _moving(source: str, frames: int) -> Clip:
    size = _PICTURE[::-1]
    clip = [(at, cv2.resize(frame, size)) for at, frame in islice(open_source(source), frames)]
    corners = window_corners(len(clip), _PICTURE, _SIZE)
    return through_window(clip, corners, _SIZE)
