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

"""What each way of stopping costs and is worth, from what was said after each frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from e4_ros.vision.clips import motion
from e4_ros.vision.clips.gates import make_gate
from e4_ros.vision.clips.net import ClipNet, NetSettings
from e4_ros.vision.clips.training import Traces

_POINTS = 24  # thresholds of a curve


@dataclass(frozen=True)
class ClipPoint:
    """One policy at one threshold, over many clips.

    Attributes:
        policy: name of the policy.
        threshold: threshold of its score; for ``fixed`` the number of frames.
        accuracy: share of clips that are named right.
        gflops: 10⁹ multiply-accumulates a clip, counted as the papers of the field count them.
        frames: seen of a clip, on average.
        chosen: whether this is the threshold that the held-out training clips chose.
    """

    policy: str
    threshold: float
    accuracy: float
    gflops: float
    frames: float
    chosen: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def frame_macs(settings: NetSettings, early: tuple[int, int, int], with_gate: bool) -> int:
    """Multiply-accumulates of motion, network and gate for one frame, backbone excluded.

    Args:
        settings: shape of the network.
        early: channels, rows and columns of the map that motion is read from.
        with_gate: whether a gate judges the answer.
    """
    net, gate = ClipNet(settings).eval(), make_gate(settings).eval()
    deep = torch.zeros(1, settings.deep_size)
    maps = torch.zeros(1, motion.CHANNELS, *early[1:])
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        logits, state = net.step(net.start(1), deep, maps)
        if with_gate:
            gate.step([logits], [state], None)
    return counter.get_total_flops() // 2 + motion.motion_macs(*early)


def stops(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Index of the last frame seen of each clip: the first whose score reaches the threshold."""
    reached = scores >= threshold
    reached[:, -1] = True
    return reached.argmax(1)


def point(policy: str, threshold: float, stop: np.ndarray, seen: Traces, macs: float) -> ClipPoint:
    """What stopping there gives.

    Args:
        policy: name of the policy.
        threshold: threshold of its score.
        stop: index of each clip's last frame.
        seen: what was said after each frame.
        macs: multiply-accumulates of one frame.
    """
    answers = seen.probabilities[np.arange(len(stop)), stop].argmax(1)
    frames = float((stop + 1).mean())
    return ClipPoint(
        policy,
        float(threshold),
        float((answers == seen.labels).mean()),
        frames * macs / 1e9,
        frames,
    )


def thresholds(scores: np.ndarray) -> np.ndarray:
    """Thresholds from often to never, spread over the scores that occur."""
    inner = np.quantile(scores[:, :-1], np.linspace(0, 1, _POINTS))
    return np.unique([*inner, np.nextafter(inner[-1], np.inf)])


def choose(score: Callable[[Traces], np.ndarray], held: Traces, tolerance: float) -> float:
    """The lowest threshold that costs little accuracy on held-out clips.

    Args:
        score: what is compared with the threshold, ``(N, T)``.
        held: clips that the network did not learn from.
        tolerance: accuracy that may be lost against seeing all frames.
    """
    scores = score(held)
    never = np.full(len(scores), scores.shape[1] - 1)
    least = point('full', 0, never, held, 0).accuracy - tolerance
    fine = [
        threshold
        for threshold in thresholds(scores)
        if point('', threshold, stops(scores, threshold), held, 0).accuracy >= least
    ]
    return float(min(fine))


def gate_score(seen: Traces) -> np.ndarray:
    """The gate's score."""
    return seen.scores


def softmax_score(seen: Traces) -> np.ndarray:
    """The highest probability (BranchyNet, Teerapittayanon et al., arXiv 1709.01686)."""
    return seen.probabilities.max(2)


def curve(
    policy: str,
    score: Callable[[Traces], np.ndarray],
    held: Traces,
    val: Traces,
    macs: float,
    tolerance: float = 0.01,
) -> list[ClipPoint]:
    """A policy's points on validation clips, and the one that held-out training clips chose."""
    scores = score(val)
    points = [point(policy, t, stops(scores, t), val, macs) for t in thresholds(scores)]
    chosen = choose(score, held, tolerance)
    best = point(policy, chosen, stops(scores, chosen), val, macs)
    return [*points, ClipPoint(**{**best.as_dict(), 'chosen': True})]


def fixed_points(val: Traces, macs: float) -> list[ClipPoint]:
    """Every clip stops after the same number of frames."""
    clips, frames = val.scores.shape
    return [
        point('fixed', t + 1, np.full(clips, t), val, macs) for t in range(frames - 1)
    ]  # fmt: skip


def full_point(val: Traces, macs: float) -> ClipPoint:
    """Every clip is seen to its end."""
    clips, frames = val.scores.shape
    found = point('full', frames, np.full(clips, frames - 1), val, macs)
    return ClipPoint(**{**found.as_dict(), 'chosen': True})
