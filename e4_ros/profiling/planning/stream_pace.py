"""How fast the images of a stream come, by their stamps."""

from __future__ import annotations

import statistics
from collections import deque

_FRAMES = 50
_FEWEST = 10  # steps that must be seen
_LONGEST_S = 60.0  # a longer step is no pace: the camera or the bag stood still


class StreamPace:
    """The median step between stamps: pauses, jumps and lost frames do not move it."""

    def __init__(self) -> None:
        self._stamp_s: float | None = None
        self._steps: deque[float] = deque(maxlen=_FRAMES)

    def observe(self, stamp_s: float) -> None:
        """An image that was taken at ``stamp_s``, in seconds."""
        before, self._stamp_s = self._stamp_s, stamp_s
        if before is not None and 0 < stamp_s - before <= _LONGEST_S:
            self._steps.append(stamp_s - before)

    @property
    def period_s(self) -> float:
        """Seconds from one image to the next; 0 while that is not known."""
        return statistics.median(self._steps) if len(self._steps) >= _FEWEST else 0.0
