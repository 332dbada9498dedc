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
"""Measures how others slow batches down, and fits BCEdge's predictor of it beside a linear one.

Runs are measured with processes that keep cores busy, and with another network that runs for a
share of the time. What is fitted is told apart from what is judged: each condition is predicted by
a fit that has not seen it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from e4_ros.perception.controllers.policy_net import PolicyNet
from e4_ros.perception.interference import Conditions, Inflation, LinearInflation, NetInflation

Times = Sequence[tuple[Conditions, float]]
"""Conditions, and seconds of a batch under them."""

_BUSY = (0, 1, 2)
_SHARES = (0.0, 0.5, 1.0)
_HIDDEN = 12
_STEPS = 600
_FOLDS = 6


@dataclass(frozen=True)
class Verdict:
    """How far off predictions are, on conditions that were not fitted to.

    Attributes:
        net_percent: mean absolute error of the small network, in percent of what was measured.
        linear_percent: the same of the linear regression.
        measured: number of conditions.
    """

    net_percent: float
    linear_percent: float
    measured: int


def measure_times(
    batches: Mapping[int, Sequence[Callable[[], object]]],
    other: Callable[[], object],
    seconds: float = 0.25,
    shown: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[Conditions, float]]:
    """Median seconds of batches under every condition.

    Args:
        batches: frames of a batch → what runs one, for each instance; as many as are to be tried.
        other: runs another network once.
        seconds: how long each condition is measured.
        shown: told how many conditions are done, of how many.
    """
    cells = [
        Conditions(batch, instances, busy, share)
        for busy, share, batch in product(_BUSY, _SHARES, batches)
        for instances in range(1, len(batches[batch]) + 1)
    ]
    found = []
    for busy in _BUSY:
        mine = [cell for cell in cells if cell.cores_busy == busy]
        with _busy(busy):
            for cell in mine:
                runs = batches[cell.batch][: cell.instances]
                found.append((cell, _median(runs, other, cell.other_share, seconds)))
                shown(len(found), len(cells))
    return found


@contextmanager
def _busy(cores: int) -> Iterator[None]:
    """Processes that keep so many cores busy, ended whatever happens."""
    spin = [
        subprocess.Popen([sys.executable, '-S', '-c', 'while True: pass']) for _ in range(cores)
    ]
    try:
        if spin:
            time.sleep(0.2)
        yield
    finally:
        for process in spin:
            process.kill()
        for process in spin:
            process.wait()


def _median(
    runs: Sequence[Callable[[], object]],
    other: Callable[[], object],
    share: float,
    seconds: float,
) -> float:
    took: list[float] = []
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            began = time.perf_counter()
            other()
            spent = time.perf_counter() - began
            done.wait(spent * (1 - share) / share)

    def work(run: Callable[[], object]) -> None:
        end, mine = time.perf_counter() + seconds, 0
        while mine < 3 or time.perf_counter() < end:
            began = time.perf_counter()
            run()
            took.append(time.perf_counter() - began)
            mine += 1

    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    disturber = [threading.Thread(target=disturb)] if share else []
    for thread in (*disturber, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    for thread in disturber:
        thread.join()
    return float(np.median(took))


def fit_linear(times: Times, cores: int) -> LinearInflation:
    """Least squares of the factor."""
    inputs, factors = _data(times, cores)
    inputs = np.column_stack([inputs, np.ones(len(inputs))])
    weights, *_ = np.linalg.lstsq(inputs, factors, rcond=None)
    return LinearInflation(np.asarray(weights, np.float64), cores)


def fit_net(times: Times, cores: int, seed: int = 0) -> NetInflation:
    """Two small layers on the factor's logarithm, by Adam."""
    inputs, factors = _data(times, cores)
    wanted = np.log(np.maximum(factors, 1e-3))
    mean, scale = inputs.mean(0), np.maximum(inputs.std(0), 1e-3)
    x, rng = (inputs - mean) / scale, np.random.default_rng(seed)
    sizes = (x.shape[1], _HIDDEN, _HIDDEN, 1)
    weights = [rng.normal(0, (2 / a) ** 0.5, (b, a)) for a, b in pairwise(sizes)]
    biases = [np.zeros(b) for b in sizes[1:]]
    biases[-1][:] = wanted.mean()
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in (*weights, *biases)]
    for step in range(1, _STEPS + 1):
        layers = [x]
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            out = layers[-1] @ weight.T + bias
            layers.append(out if index == len(weights) - 1 else np.maximum(out, 0))
        error = 2 * (layers[-1] - wanted[:, None]) / len(x)
        slopes: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        for index in reversed(range(len(weights))):
            slopes.append((error.T @ layers[index], error.sum(0)))
            error = (error @ weights[index]) * (layers[index] > 0)
        slopes.reverse()
        flat = [slope + 1e-3 * w for (slope, _), w in zip(slopes, weights, strict=True)]
        flat += [slope for _, slope in slopes]
        for place, (values, slope) in enumerate(zip((*weights, *biases), flat, strict=True)):
            first, second = moments[place]
            first += 0.1 * (slope - first)
            second += 0.001 * (slope**2 - second)
            values -= (
                0.01 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
            )
    as32 = [np.asarray(a, np.float32) for a in (*weights, *biases, mean, scale)]
    depth = len(weights)
    ways, offsets = as32[:depth], as32[depth : 2 * depth]
    net = PolicyNet(ways, offsets, (1,), as32[-2], as32[-1], len(times))
    return NetInflation(net, cores)


def judge(times: Times, cores: int, seed: int = 0) -> Verdict:
    """Both, each condition predicted by a fit to others."""
    order = np.random.default_rng(seed).permutation(len(times))
    errors: dict[str, list[float]] = {'net': [], 'linear': []}
    base = _alone(times)
    for fold in range(min(_FOLDS, len(times))):
        out = set(order[fold::_FOLDS].tolist())
        known = [each for index, each in enumerate(times) if index not in out]
        known = [*known, (Conditions(), base)]
        fits: dict[str, Inflation] = {
            'net': fit_net(known, cores),
            'linear': fit_linear(known, cores),
        }
        for index in out:
            conditions, seconds = times[index]
            for name, fit in fits.items():
                errors[name].append(abs(fit.times(conditions) * base / seconds - 1))
    percent = {name: 100 * float(np.mean(found)) for name, found in errors.items()}
    return Verdict(percent['net'], percent['linear'], len(times))


def _alone(times: Times) -> float:
    """Seconds of one frame alone on an idle machine."""
    return next(seconds for conditions, seconds in times if conditions == Conditions())


def _data(times: Times, cores: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    base = _alone(times)
    inputs = np.array([conditions.features(cores) for conditions, _ in times], np.float64)
    return inputs, np.array([seconds / base for _, seconds in times])
