"""A Kalman filter for one object on the ground: constant velocity, in metres."""

from __future__ import annotations

import numpy as np

_GATE = 25.0  # squared Mahalanobis distance; five standard deviations
_PATIENCE = 3  # measurements beyond it in a row are no outliers, the object is there
_VELOCITY_SIGMA = 1.5  # m/s, of an object that was not seen before: people walk


class ConstantVelocity:
    """Position and velocity ``x, y, vx, vy`` in a frame that does not move.

    Source: Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and Navigation,
    2001, chapter 6.3: white-noise acceleration, discretised.

    Args:
        position: ``(2,)`` metres, the first measurement.
        covariance: ``(2, 2)``, its own.
        stamp_s: when it was taken.
        acceleration: standard deviation of the acceleration in m/s².

    Attributes:
        stamp_s: time of its state.
    """

    def __init__(
        self, position: np.ndarray, covariance: np.ndarray, stamp_s: float, acceleration: float
    ) -> None:
        self._acceleration = acceleration
        self._state, self._covariance = np.zeros(4), np.zeros((4, 4))
        self.stamp_s, self._outliers = stamp_s, 0
        self._begin(position, covariance, stamp_s)

    @property
    def position(self) -> np.ndarray:
        """``(2,)`` metres."""
        return self._state[:2]

    @property
    def velocity(self) -> np.ndarray:
        """``(2,)`` metres a second."""
        return self._state[2:]

    @property
    def covariance(self) -> np.ndarray:
        """``(4, 4)`` of x, y, vx, vy."""
        return self._covariance

    def update(self, position: np.ndarray, covariance: np.ndarray, stamp_s: float) -> None:
        """Go on to ``stamp_s``, and take a measurement over unless it is an outlier."""
        self._predict(stamp_s - self.stamp_s)
        self.stamp_s = stamp_s
        precision = np.linalg.inv(self._covariance[:2, :2] + covariance)
        off = position - self._state[:2]
        if off @ precision @ off > _GATE:
            self._outliers += 1
            if self._outliers >= _PATIENCE:
                self._begin(position, covariance, stamp_s)
            return
        self._outliers = 0
        gain = self._covariance[:, :2] @ precision
        self._state = self._state + gain @ off
        kept = np.eye(4)
        kept[:, :2] -= gain
        # Joseph's form: it stays symmetric and positive.
        self._covariance = kept @ self._covariance @ kept.T + gain @ covariance @ gain.T

    def _begin(self, position: np.ndarray, covariance: np.ndarray, stamp_s: float) -> None:
        self.stamp_s = stamp_s
        self._state = np.array([*position, 0.0, 0.0])
        self._covariance = np.diag([0.0, 0.0, _VELOCITY_SIGMA**2, _VELOCITY_SIGMA**2])
        self._covariance[:2, :2] = covariance
        self._outliers = 0

    def _predict(self, elapsed_s: float) -> None:
        step = np.eye(4)
        step[:2, 2:] = elapsed_s * np.eye(2)
        half = np.concatenate([elapsed_s**2 / 2 * np.eye(2), elapsed_s * np.eye(2)])
        noise = self._acceleration**2 * half @ half.T
        self._state = step @ self._state
        self._covariance = step @ self._covariance @ step.T + noise
