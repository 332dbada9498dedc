"""Answers and latencies of a way and of its peer, in turns, so that both see the same machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from e4_ros.benchmarks.exits.footage import Clip
from e4_ros.benchmarks.exits.ways import Said, Way
from e4_ros.evaluation.metrics import f1
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.exit_thresholds import FULL

PEER_EVERY = 4  # frames from one on which the peer answers too to the next


@dataclass
class Timed:
    """What came of some passes over a clip.

    Attributes:
        said: of the first pass, one for each frame.
        seconds: ``[pass][frame]``.
        peer_seconds: ``[pass][asked frame]``.
    """

    said: list[Said] = field(default_factory=list)
    seconds: list[list[float]] = field(default_factory=list)
    peer_seconds: list[list[float]] = field(default_factory=list)

    @property
    def mean_s(self) -> float:
        """Mean over the frames of each frame's median over the passes."""
        return float(np.median(self.seconds, 0).mean())

    @property
    def peer_s(self) -> float:
        """The peer's."""
        return float(np.median(self.peer_seconds, 0).mean())

    @property
    def speedup(self) -> float:
        """Ratio of the means."""
        return self.peer_s / self.mean_s

    def take(self, way: Way, peer: Way, clip: Clip) -> None:
        """One more pass; which of the two goes first alternates."""
        way.reset()
        peer.reset()
        said, seconds, peer_seconds = [], [], []
        for index, (stamp_s, frame) in enumerate(clip):
            asked = index % PEER_EVERY == 0
            first = index % (2 * PEER_EVERY) == 0
            if asked and first:
                peer_seconds.append(peer.detections(frame, stamp_s).seconds)
            said.append(way.detections(frame, stamp_s))
            if asked and not first:
                peer_seconds.append(peer.detections(frame, stamp_s).seconds)
            seconds.append(said[-1].seconds)
        self.said = self.said or said
        self.seconds.append(seconds)
        self.peer_seconds.append(peer_seconds)


def timed(
    ways: Mapping[tuple[str, float], Way],
    peer: Way,
    clip: Clip,
    passes: int,
    progress: Callable[[int, int], None],
) -> dict[tuple[str, float], Timed]:
    """Pass over the clip with each way in turn, ``passes`` times.

    Args:
        ways: by curve and setting. Two may share a machine: only one runs at a time.
        peer: what they are compared with.
        clip: ``(stamp_s, frame)`` in order of time.
        passes: how often; a slow moment of the machine hits one pass, and the median forgets it.
        progress: called with passes done and their number.
    """
    results = {key: Timed() for key in ways}
    total = passes * len(ways)
    for number in range(passes):
        for done, (key, way) in enumerate(ways.items(), 1):
            results[key].take(way, peer, clip)
            progress(number * len(ways) + done, total)
    return results


def figures(
    result: Timed, reference: Sequence[Detections], full: Sequence[Detections]
) -> dict[str, Any]:
    """What both the curves and the headline say of a way, in the words of the JSON.

    Args:
        result: of the way.
        reference: the offline teacher's answers.
        full: the full network's.
    """
    answers = [said.detections for said in result.said]
    return {
        'speedup': result.speedup,
        'mean_ms': 1e3 * result.mean_s,
        'f1_reference': f1(answers, reference),
        'f1_full': f1(answers, full),
        'early_share': early_share(result.said, FULL),
    }


def early_share(said: Sequence[Said], full: str) -> float:
    """Share of frames that something else than the full network answered."""
    return float(np.mean([one.exit != full for one in said]))
