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

"""Queues of a fleet, vectorised over nothing but requests: waits at servers with several workers.

First come, first served. `erlang_c` and `deterministic_wait_s` are what theory says of the same, by
which the played queues are tested.
"""

from __future__ import annotations

import heapq
import math

import numpy as np

from e4_ros.profiling.planning.cost_table import Floats


def played_waits(arrivals_s: Floats, service_s: Floats, workers: int) -> Floats:
    """Seconds that each request waits for one of several workers.

    Args:
        arrivals_s: when requests come, rising, ``(N,)``.
        service_s: seconds that each takes, ``(N,)``.
        workers: number of workers, each with one request at a time.
    """
    if workers == 1:
        work = np.cumsum(service_s)
        begun = np.maximum.accumulate(arrivals_s - np.concatenate([[0.0], work[:-1]]))
        return begun + np.concatenate([[0.0], work[:-1]]) - arrivals_s  # Lindley 1952
    free = [0.0] * workers
    waits = np.empty(len(arrivals_s))
    for number, (at_s, takes_s) in enumerate(zip(arrivals_s, service_s, strict=True)):
        begins = max(at_s, free[0])
        waits[number] = begins - at_s
        heapq.heapreplace(free, begins + takes_s)
    return waits


def poisson(rng: np.random.Generator, rate: float, seconds: float) -> Floats:
    """Times of requests that come at random, ``rate`` a second in the mean."""
    return np.sort(rng.random(rng.poisson(rate * seconds)) * seconds)


def erlang_c(load: float, workers: int) -> float:
    """Chance that a request waits, with random times of service (Erlang 1917).

    Args:
        load: requests a second times seconds of service: workers that are busy in the mean.
        workers: number of workers; more than the load.
    """
    terms = [load**k / math.factorial(k) for k in range(workers)]
    last = load**workers / math.factorial(workers) * workers / (workers - load)
    return last / (sum(terms) + last)


def deterministic_wait_s(load: float, workers: int, service_s: float) -> float:
    """Mean wait where every request takes as long (M/D/c, Cosmetatos 1975; exact for one worker).

    Args:
        load: as of `erlang_c`.
        workers: number of workers.
        service_s: seconds that each request takes.
    """
    rho = load / workers
    random_s = erlang_c(load, workers) * service_s / (workers - load)
    more = (1 - rho) * (workers - 1) * (math.sqrt(4 + 5 * workers) - 2) / (16 * rho * workers)
    return 0.5 * (1 + more) * random_s
