"""One frame in, one record out: the loop body that the node and the command line share."""

from __future__ import annotations

import numpy as np

from e4_ros.evaluation.clocks import Clocks, NoClocks
from e4_ros.evaluation.records import FrameRecord
from e4_ros.vision.engine import EarlyExitEngine


class Perceiver:
    """An early-exit engine whose segments step the clocks.

    Args:
        engine: Runs the network.
        clocks: Steps the clocks and knows the joules; None where there is neither.
    """

    def __init__(self, engine: EarlyExitEngine, clocks: Clocks | None = None) -> None:
        self.engine = engine
        self.clocks = clocks or NoClocks()
        self._paths = engine.paths
        self._names = [segment.name for segment in engine.segments]

    def process(self, frame: np.ndarray, stamp_s: float, index: int) -> FrameRecord:
        """Answer one frame of the stream.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: Stamp of the image; one before the last frame's begins a new stream.
            index: Number of the frame in its source.

        Raises:
            ValueError: the frame is no such image.
        """
        self.clocks.begin()
        result = self.engine.process(frame, stamp_s, self.clocks.step)
        segments = self._paths[result.exit]
        spent = self.clocks.end(result.exit, segments)
        return FrameRecord(
            frame=index,
            stamp_s=stamp_s,
            result=result,
            segments=[self._names[i] for i in segments],
            points=spent.points,
            energy_j=spent.energy_j,
            energy_source=spent.source,
        )

    def warm_up(self, frame: np.ndarray, rounds: int = 3) -> None:
        """Run the whole network a few times, so that the first record is like the others."""
        for _ in range(rounds):
            self.engine.process_full(frame)
