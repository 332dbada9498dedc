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

"""Kalman filters for objects on the ground: constant velocities, in metres; one for each track."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_GATE = 25.0  # squared Mahalanobis distance; five standard deviations
_PATIENCE = 3  # measurements beyond it in a row are no outliers, the object is there
_VELOCITY_SIGMA = 1.5  # m/s, of an object that was not seen before: people walk
_FORGET_S = 2.0  # after so long without its track a filter says nothing of an object any more


class _Filter(NamedTuple):
    """One object: its time, its state ``x, y, vx, vy`` ``(4,)``, covariance and outliers so far."""

    stamp_s: float
    state: np.ndarray
    covariance: np.ndarray
    outliers: int


class Filters:
    """Positions and velocities in a frame that does not move, all objects of an image at once.

    Source: Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and Navigation,
    2001, chapter 6.3: white-noise acceleration, discretised.

    Args:
        acceleration: Standard deviation of the acceleration in m/s².
    """

    def __init__(self, acceleration: float) -> None:
        self._acceleration = acceleration
        self._filters: dict[int, _Filter] = {}
        self._stamp_s = -np.inf

    def forget(self) -> None:
        """Begin anew: what comes next has nothing to do with what was."""
        self._filters.clear()

    def update(
        self, tracks: Sequence[int], positions: np.ndarray, covariances: np.ndarray, stamp_s: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take over the measurements of one image, but for outliers.

        Args:
            tracks: ids of N objects.
            positions: ``(N, 2)`` metres.
            covariances: ``(N, 2, 2)``, theirs.
            stamp_s: when they were measured; where it goes back, all objects are new ones.

        Returns:
            States ``(N, 4)`` x, y, vx, vy and their covariances ``(N, 4, 4)``.
        """
        if stamp_s < self._stamp_s:
            self.forget()
        self._stamp_s = stamp_s
        states, spreads = _begin(positions, covariances)
        known = [index for index, track in enumerate(tracks) if track in self._filters]
        outliers = np.zeros(len(tracks), int)
        if known:
            before = [self._filters[tracks[index]] for index in known]
            followed = self._follow(before, positions[known], covariances[known], stamp_s)
            goes_on = followed[2] < _PATIENCE
            rows = np.array(known)[goes_on]
            states[rows], spreads[rows], outliers[rows] = (part[goes_on] for part in followed)
        for track, state, spread, count in zip(tracks, states, spreads, outliers, strict=True):
            self._filters[track] = _Filter(stamp_s, state, spread, int(count))
        self._filters = {
            track: one for track, one in self._filters.items() if stamp_s - one.stamp_s <= _FORGET_S
        }
        return states, spreads

    def _follow(
        self,
        before: Sequence[_Filter],
        positions: np.ndarray,
        covariances: np.ndarray,
        stamp_s: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """States, covariances and outliers in a row of objects that are known."""
        elapsed_s = stamp_s - np.array([one.stamp_s for one in before])
        step = np.tile(np.eye(4), (len(before), 1, 1))
        step[:, 0, 2] = step[:, 1, 3] = elapsed_s
        shock = np.zeros((len(before), 4, 2))  # what an acceleration does meanwhile
        shock[:, 0, 0] = shock[:, 1, 1] = elapsed_s**2 / 2
        shock[:, 2, 0] = shock[:, 3, 1] = elapsed_s
        states = (step @ np.stack([one.state for one in before])[..., None])[..., 0]
        spreads = step @ np.stack([one.covariance for one in before]) @ _turned(step)
        spreads += self._acceleration**2 * shock @ _turned(shock)

        off = (positions - states[:, :2])[..., None]
        precision = np.linalg.inv(spreads[:, :2, :2] + covariances)
        is_outlier = (_turned(off) @ precision @ off)[:, 0, 0] > _GATE
        gain = spreads[:, :, :2] @ precision
        gain[is_outlier] = 0
        states += (gain @ off)[..., 0]
        kept = np.tile(np.eye(4), (len(before), 1, 1))
        kept[:, :, :2] -= gain
        # Joseph's form: it stays symmetric and positive.
        spreads = kept @ spreads @ _turned(kept) + gain @ covariances @ _turned(gain)
        counts = np.array([one.outliers for one in before])
        return states, spreads, np.where(is_outlier, counts + 1, 0)


def _begin(positions: np.ndarray, covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Objects that were not seen before."""
    states = np.zeros((len(positions), 4))
    states[:, :2] = positions
    spreads = np.zeros((len(positions), 4, 4))
    spreads[:, :2, :2] = covariances
    spreads[:, 2, 2] = spreads[:, 3, 3] = _VELOCITY_SIGMA**2
    return states, spreads


def _turned(matrices: np.ndarray) -> np.ndarray:
    return matrices.swapaxes(1, 2)
