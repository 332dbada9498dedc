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

"""A virtual board in simulated time, on which a comparison of minutes takes seconds.

The clocks' files, the kernel's rules, power, heat and the converter of the power monitor are those
of `energy.virtual`; frames take the time that the board model says, with jitter and outliers. On
top come what a real board has besides: bursts of other work, a power that drifts, and a meter with
a gain and noise of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import Board, DomainSpec, Rail
from e4_ros.energy.meters.meters import Meter
from e4_ros.energy.meters.rails import counted
from e4_ros.energy.meters.sources import SampledRail
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.energy.virtual import VirtualMachine
from e4_ros.energy.virtual.board import devfreq_folder, policies
from e4_ros.evaluation.comparison.arms import Arm
from e4_ros.evaluation.comparison.block import Answer, Answered
from e4_ros.evaluation.comparison.feed import Arrived
from e4_ros.evaluation.comparison.timing import Clock
from e4_ros.perception.active_plan import deepest_points
from e4_ros.vision.inference.frame_result import FrameResult

_SAMPLE_S = 0.023  # no divisor of the camera's period, which would see the same part of each frame
_LOOK_S = 0.008  # in which a segment's clocks are taken as constant
_JITTER, _OUTLIERS = 0.03, 0.02
_BURST_EVERY_S, _BURST_S, _BURST_LOAD = 3.0, 0.5, 0.1
_DRIFT = 0.01  # of the board's power, over minutes
_GAIN, _NOISE_W = 0.003, 0.02
_STEP_A = 0.008  # of an INA3221 at the 5 mΩ of Jetsons
_KHZ = 1000
_FILES = {
    'ina3221_hwmon': 'in{k}_input curr{k}_input',
    'ina3221_iio': 'in_voltage{k}_input in_current{k}_input',
}


class SimulatedClock(Clock):
    """Time that passes when somebody waits; the meter is read on the way."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.meter: Meter | None = None
        self._sample_s = 0.0

    def now(self) -> float:
        """Seconds since the board was made."""
        return self.time_s

    def sleep_until(self, time_s: float) -> None:
        """Let time pass."""
        meter = self.meter
        while meter is not None and self._sample_s <= time_s:
            self.time_s = max(self._sample_s, self.time_s)
            meter.read()
            self._sample_s = self.time_s + meter.period_s
        self.time_s = max(time_s, self.time_s)


class Ways:
    """What a network does with footage, and a plan for each depth.

    Args:
        works: With exits and without: what each segment asks of the board.
        paths: With exits and without: exit → its segments.
        results: With exits and without: the answer to each frame.
        plans: With exits and without: the frequency plan.
    """

    def __init__(
        self,
        works: Mapping[bool, Sequence[SegmentWork]],
        paths: Mapping[bool, Mapping[str, Sequence[int]]],
        results: Mapping[bool, Sequence[FrameResult]],
        plans: Mapping[bool, FrequencyPlan],
    ) -> None:
        self.works, self.paths, self.results = works, paths, results
        self.points = {exits: deepest_points(plan) for exits, plan in plans.items()}


class SimulatedBoard:
    """A machine for a comparison.

    Args:
        board: The board.
        ways: What runs on it.
        seed: Seed of everything random.
        metered: Whether there is a meter, and a drift; a long-run truth needs neither.

    Attributes:
        clock: Its time.
        meter: Its rails.
    """

    def __init__(self, board: Board, ways: Ways, seed: int, metered: bool = True) -> None:
        self.clock = SimulatedClock()
        self._board, self._model, self._ways = board, BoardModel(board), ways
        self._rng = np.random.default_rng(seed)
        self._machine = VirtualMachine(board, now=self.clock.now)
        self._costs: dict[tuple[object, ...], tuple[float, np.ndarray]] = {}
        self._burst = (0.0, False)
        self._loads = dict.fromkeys(self._model.domains, 0.0)
        self._period_s, self._phase = self._rng.uniform(200, 900), self._rng.uniform(0, 2 * math.pi)
        self._gain = 1 + _GAIN * self._rng.standard_normal()
        self._files = {name: _clock_file(spec) for name, spec in board.domains.items()}
        labels = counted(rail.label for rail in board.rails)
        rails = [rail for rail in board.rails if rail.label in labels]
        self._share = 1 / len(rails)
        sources = [SampledRail(rail.label, self._reader(rail)) for rail in rails]
        self.meter = Meter('ina', sources, labels, period_s=_SAMPLE_S, now=self.clock.now)
        if metered:
            self.clock.meter = self.meter

    @contextmanager
    def arm(self, arm: Arm) -> Iterator[Answer]:
        """Answer as the arm does."""
        works, paths = self._ways.works[arm.exits], self._ways.paths[arm.exits]
        results = self._ways.results[arm.exits]
        points = self._ways.points[arm.exits] if arm.clocks else {}
        first = points.get(0, {})

        def answer(arrived: Arrived) -> Answered:
            known = results[arrived.index % len(results)]
            for segment in paths[known.exit]:
                self._set(points.get(segment, {}))
                self._run(works[segment])
            self._set(first)
            self._load(np.zeros(len(self._model.domains)))
            return Answered(known.exit, known.detections)

        self._set(first)
        yield answer
        self._release(first)

    def temperatures_c(self) -> Mapping[str, float]:
        """The board's one temperature."""
        return {'board': float(self._read('e4/temperature_c'))}

    def hot(self) -> str:
        """Never: the loads of a comparison are small."""
        return ''

    def exact_j(self) -> float:
        """The joules that the board really had."""
        return float(self._read('e4/energy_j'))

    # -- time and load --------------------------------------------------------------------------

    def _run(self, work: SegmentWork) -> None:
        """Run a segment, at clocks that governors may change meanwhile."""
        left = max(1 + _JITTER * self._rng.standard_normal(), 0.5)
        left *= 3.0 if self._rng.random() < _OUTLIERS else 1.0
        while left > 0:
            seconds, busy = self._cost(work)
            self._load(busy)
            took_s = min(left * seconds, _LOOK_S)
            self.clock.sleep_until(self.clock.time_s + took_s)
            left -= took_s / seconds

    def _cost(self, work: SegmentWork) -> tuple[float, np.ndarray]:
        hz = tuple(int(self._read(path)) * unit for path, unit in self._files.values())
        key = (work.name, *hz)
        if key not in self._costs:
            point = dict(zip(self._files, hz, strict=True))
            busy = self._model.busy_shares([work], [point])[0, 0]
            self._costs[key] = self._model.segment_cost(work, point).latency_s, busy
        return self._costs[key]

    def _load(self, busy: np.ndarray) -> None:
        """Set the load, with that of others."""
        until_s, on = self._burst
        while self.clock.time_s >= until_s:
            on = not on
            until_s += self._rng.exponential(_BURST_S if on else _BURST_EVERY_S)
            self._burst = until_s, on
        for name, share in zip(self._model.domains, busy, strict=True):
            others = _BURST_LOAD if on and name == 'cpu' else 0.0
            load = min(float(share) + others, 1.0)
            if load != self._loads[name]:
                self._loads[name] = load
                self._write(f'e4/load/{name}', f'{load:.4f}')

    # -- clocks ---------------------------------------------------------------------------------

    def _set(self, point: Mapping[str, int]) -> None:
        for name, hz in point.items():
            spec = self._board.domains[name]
            if spec.kind == 'cpufreq':
                for folder, _ in policies(spec):
                    self._write(f'{folder}/scaling_governor', 'userspace')
                    self._write(f'{folder}/scaling_setspeed', str(hz // _KHZ))
            elif spec.kind == 'devfreq':
                folder = devfreq_folder(spec)
                self._write(f'{folder}/min_freq', str(spec.limits_hz[0]))
                self._write(f'{folder}/max_freq', str(hz))
                self._write(f'{folder}/min_freq', str(hz))
            else:
                raise AssertionError('a comparison clocks CPU and GPU')

    def _release(self, point: Mapping[str, int]) -> None:
        """Give the clocks back to the governors."""
        for name in point:
            spec = self._board.domains[name]
            if spec.kind == 'cpufreq':
                for folder, _ in policies(spec):
                    self._write(f'{folder}/scaling_governor', spec.governor)
            else:
                folder, (low, high) = devfreq_folder(spec), spec.limits_hz
                self._write(f'{folder}/min_freq', str(low))
                self._write(f'{folder}/max_freq', str(high))

    # -- files ----------------------------------------------------------------------------------

    def _reader(self, rail: Rail):  # type: ignore[no-untyped-def]
        monitor = self._board.monitors[rail.device]
        names = _FILES[monitor.kind].format(k=rail.channel).split()
        volts, amps = (f'{monitor.path}/{name}' for name in names)
        step_w = _STEP_A * rail.volts

        def watts() -> float:
            shown = int(self._read(volts)) * int(self._read(amps)) * 1e-6
            wave = math.sin(2 * math.pi * self.clock.time_s / self._period_s + self._phase)
            noise = _NOISE_W * self._share * self._rng.standard_normal()
            # What comes on top comes before the converter, which shows whole steps.
            seen = shown * self._gain * (1 + _DRIFT * wave) + noise
            return max(round(seen / step_w) * step_w, 0.0)

        return watts

    def _read(self, path: str) -> bytes:
        return self._machine.read(path)

    def _write(self, path: str, text: str) -> None:
        self._machine.write(path, text.encode())


def _clock_file(spec: DomainSpec) -> tuple[str, int]:
    """File that shows a domain's clock, and its unit in hertz."""
    if spec.kind == 'cpufreq':
        return f'{next(iter(policies(spec)))[0]}/scaling_cur_freq', _KHZ
    if spec.kind == 'devfreq':
        return f'{devfreq_folder(spec)}/cur_freq', 1
    return f'{spec.path}/{"clk_rate" if spec.kind == "tegra210" else "rate"}', 1
