"""Where to cut a network by what its parts take in the deployment runtime on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime import OnnxRuntime
from e4_ros.vision.stages import Cut, find_cuts, nearest_cuts, split

_CANDIDATES = 12
_ROUNDS = 7


def measured_cuts(
    model: VisionModel,
    shares: Sequence[float],
    threads: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[str]:
    """Traced nodes after which the wanted shares of the network's time have passed.

    A dozen places that the estimate spreads over the network are measured; the nearest are taken.
    Two measurements may choose neighbours: keep what was chosen where it must not change.

    Args:
        model: the network.
        shares: rising, in (0, 1).
        threads: threads within one operation; None for one per core.
        clock: seconds.

    Raises:
        StageError: the network cannot be traced, or has fewer places to cut than shares.
    """
    return nearest_cuts(measure_cuts(model, threads, clock), shares)


def measure_cuts(
    model: VisionModel,
    threads: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Cut]:
    """Places to cut, spread over the network, with the measured share of time before each.

    The network is run in as many stages at once; the fastest of a few rounds counts.
    """
    example = torch.zeros(1, 3, *model.input_size)
    possible = find_cuts(model.network, example)
    count = min(_CANDIDATES, len(possible))
    names = nearest_cuts(possible, [float(s) for s in np.linspace(0, 1, count + 2)[1:-1]])
    runtime = OnnxRuntime(threads)
    joint, pieces = runtime.buffer(tuple(example.shape)), []
    for stage in split(model.network, example, names):
        pieces.append(runtime.compile(stage.module, [joint]))
        joint = pieces[-1].outputs[0]  # type: ignore[assignment]
    rounds = []
    for _ in range(_ROUNDS):
        marks = [clock()]
        for piece in pieces:
            piece.run()
            marks.append(clock())
        rounds.append(np.diff(marks))
    passed = np.min(rounds, 0).cumsum()
    by_name = {cut.node: cut for cut in possible}
    return [
        replace(by_name[name], cost_share=float(seconds / passed[-1]))
        for name, seconds in zip(names, passed[:-1], strict=True)
    ]
