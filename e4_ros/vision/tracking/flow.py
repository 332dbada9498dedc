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

"""Sparse optical flow between two frames, on a small grey picture, checked there and back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_WIDTH = 320  # pixels that the small picture is about as wide as
_WINDOW = (9, 9)
_LEVELS = 3  # of the pyramid: with the window it follows shifts of up to 30 pixels
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 6, 0.05)
_BACK = 1.0  # pixels by which a point may miss its origin on the way back


@dataclass(frozen=True)
class Flow:
    """Where points went from one frame to the next.

    Attributes:
        points: where they were, ``(N, 2)`` float32 x and y in pixels of the small picture.
        moved: where they are, likewise.
        good: ``(N,)`` bool, whether a point was found again and leads back to where it came from.
        error: ``(N,)`` float32, distance in pixels between a point and where it leads back to.
    """

    points: np.ndarray
    moved: np.ndarray
    good: np.ndarray
    error: np.ndarray

    @property
    def shift(self) -> np.ndarray:
        """``(N, 2)`` float32 pixels."""
        return self.moved - self.points

    def part(self, which: slice) -> Flow:
        """The flow of some of the points."""
        return Flow(self.points[which], self.moved[which], self.good[which], self.error[which])


def small_grey(frame: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` uint8 RGB to ``(h, w)`` uint8, reduced by a whole number to about 320 wide.

    By a whole number, for then interpolation by two pixels each way is quick: 0.15 ms for any
    camera, where averaging all of them takes up to ten times as long.

    Example:
        >>> small_grey(np.zeros((480, 640, 3), np.uint8)).shape
        (240, 320)
    """
    height, width = frame.shape[:2]
    factor = max(round(width / _WIDTH), 1)
    if factor > 1:
        frame = cv2.resize(frame, (width // factor, max(height // factor, 1)))
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def sparse_flow(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> Flow:
    """Follow points by the pyramidal Lucas-Kanade method, in one call there and one back.

    The way back tells which points to believe (Kalal et al., "Forward-backward error: automatic
    detection of tracking failures", ICPR 2010).

    Args:
        before: ``(h, w)`` uint8 grey picture.
        after: the next one, of the same size.
        points: ``(N, 2)`` x and y in pixels of ``before``.
    """
    points = np.ascontiguousarray(points, np.float32)
    if not len(points):
        nothing = np.zeros(0, np.float32)
        return Flow(points, points, nothing.astype(bool), nothing)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before,
        after,
        points,
        np.empty_like(points),
        winSize=_WINDOW,
        maxLevel=_LEVELS,
        criteria=_STOP,
    )
    back, led_back, _ = cv2.calcOpticalFlowPyrLK(
        after,
        before,
        moved,
        points.copy(),
        winSize=_WINDOW,
        maxLevel=1,
        criteria=_STOP,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    moved = np.asarray(moved, np.float32)
    error = np.hypot(*(np.asarray(back, np.float32) - points).T)
    height, width = after.shape
    inside = ((moved >= 0) & (moved < (width, height))).all(1)
    there, home = (np.asarray(status, bool).ravel() for status in (found, led_back))
    return Flow(points, moved, there & home & inside & (error < _BACK), error)
