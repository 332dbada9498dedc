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

"""How fast a link is over time: made by a seed, or a log of one's own.

The made ones are Markov chains: the rate stays for a while and then becomes another of a few, an
outage being one of them. Requests are lost as in Gilbert's model (Gilbert 1960; Elliott 1963): the
link is in a good or in a bad state, which lose few or many. Both are made anew from their seed
wherever they are needed, so nothing of them is stored.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from e4_ros.profiling.planning.cost_table import Floats

LARGEST_BYTES = 50_000_000
STEP_S = 0.01
"""Seconds of one step of a trace."""


class TraceError(ValueError):
    """A file holds no trace of a link; the message says where and what is expected."""


@dataclass(frozen=True, eq=False)
class LinkTrace:
    """A link over time, in steps of `STEP_S`; it begins anew when it ends.

    Attributes:
        rate_bps: bits a second in each step, ``(N,)``; 0: an outage.
        loss: share of requests that are lost in each step, ``(N,)``.
        round_trip_s: seconds there and back of something small.
    """

    rate_bps: Floats
    loss: Floats
    round_trip_s: float = 0.004

    @property
    def seconds(self) -> float:
        """Length of the trace."""
        return len(self.rate_bps) * STEP_S

    @property
    def mean_bps(self) -> float:
        """Mean rate, which a profile of the link would show."""
        return float(self.rate_bps.mean())


@dataclass(frozen=True)
class Weather:
    """What made links are like.

    Attributes:
        mbps: the rates that a link goes through, in Mbit/s; 0 is an outage.
        stay_s: seconds that it keeps a rate, in the mean.
        outage_s: seconds of an outage, in the mean.
        loss: shares that are lost in the good and in the bad state.
        good_s, bad_s: seconds in the two states, in the mean.
        round_trip_s: seconds there and back of something small.
    """

    mbps: tuple[float, ...] = (40.0, 20.0, 10.0, 5.0, 2.0, 0.0)
    stay_s: float = 6.0
    outage_s: float = 2.0
    loss: tuple[float, float] = (0.002, 0.1)
    good_s: float = 10.0
    bad_s: float = 1.0
    round_trip_s: float = 0.004


def markov_trace(seed: int, seconds: float, weather: Weather = Weather()) -> LinkTrace:
    """A made link.

    Args:
        seed: the same seed makes the same link.
        seconds: its length.
        weather: what it is like.
    """
    rng = np.random.default_rng([seed, 1])
    steps = max(round(seconds / STEP_S), 1)
    rates = np.empty(steps)
    at, state = 0, int(rng.integers(len(weather.mbps) - 1))
    while at < steps:
        rate = weather.mbps[state]
        mean_s = weather.stay_s if rate else weather.outage_s
        stays = max(round(rng.exponential(mean_s) / STEP_S), 1)
        rates[at : at + stays] = 1e6 * rate
        at += stays
        others = [other for other in range(len(weather.mbps)) if other != state]
        near = np.array([1 / abs(other - state) for other in others])
        state = int(rng.choice(others, p=near / near.sum()))
    bad = _bad_steps(rng, steps, weather)
    return LinkTrace(rates, np.where(bad, weather.loss[1], weather.loss[0]), weather.round_trip_s)


def load_trace(path: Path, seed: int = 0, weather: Weather = Weather()) -> LinkTrace:
    """Read a log of lines ``seconds,Mbit/s``, such as one made of iperf's; a heading may precede.

    A rate holds until the next line's time; the last one for a second. Loss is made as for made
    links, because such a log does not tell it.

    Raises:
        TraceError: a line is not two numbers, time runs backwards, or a rate is none.
        OSError: the file cannot be read.
    """
    if path.stat().st_size > LARGEST_BYTES:
        raise TraceError(f'{path} is larger than {LARGEST_BYTES / 1e6:.0f} MB; cut it')
    times: list[float] = []
    rates: list[float] = []
    try:
        with path.open(newline='', encoding='utf-8') as file:
            for row in csv.reader(file):
                number = len(times) + 1
                if not row or (number == 1 and not _is_number(row[0])):
                    continue
                time_s, rate = _line(path, number, row)
                if times and time_s <= times[-1]:
                    raise TraceError(f'{path}: {time_s:g} s follows {times[-1]:g} s')
                times.append(time_s)
                rates.append(rate)
    except (UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f'{path} is no text of lines seconds,Mbit/s: {error}') from None
    if not times:
        raise TraceError(f'{path} has no line seconds,Mbit/s')
    ends = np.array([*times[1:], times[-1] + 1.0]) - times[0]
    steps = np.maximum(np.round(ends / STEP_S).astype(int), 1)
    if steps[-1] > LARGEST_BYTES:
        raise TraceError(f'{path} is {ends[-1]:.3g} s long; times are in seconds')
    counts = np.diff(steps, prepend=0)
    rate_bps = 1e6 * np.repeat(rates, counts)
    bad = _bad_steps(np.random.default_rng([seed, 1]), len(rate_bps), weather)
    loss = np.where(bad, weather.loss[1], weather.loss[0])
    return LinkTrace(rate_bps, loss, weather.round_trip_s)


def _line(path: Path, number: int, row: list[str]) -> tuple[float, float]:
    if len(row) != 2 or not all(_is_number(cell) for cell in row):
        raise TraceError(f'{path}: line {number} is {",".join(row)[:60]!r}, not seconds,Mbit/s')
    time_s, rate = float(row[0]), float(row[1])
    if not math.isfinite(time_s) or not 0 <= rate <= 1e6:
        raise TraceError(f'{path}: line {number}: a rate of {rate} Mbit/s at {time_s} s is none')
    return time_s, rate


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _bad_steps(rng: np.random.Generator, steps: int, weather: Weather) -> np.ndarray:
    """In which steps the link is in its bad state."""
    bad, at, state = np.zeros(steps, bool), 0, False
    while at < steps:
        mean_s = weather.bad_s if state else weather.good_s
        stays = max(round(rng.exponential(mean_s) / STEP_S), 1)
        bad[at : at + stays] = state
        at, state = at + stays, not state
    return bad
