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

"""Meters: the machine's joules, measured where it has sensors, else modelled, and which it is."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from e4_ros.energy.boards import Board
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.errors import DomainError
from e4_ros.energy.meters import jtop, nvml
from e4_ros.energy.meters.modelled import modelled_loads
from e4_ros.energy.meters.rails import counted, find_rails
from e4_ros.energy.meters.rapl import find_zones
from e4_ros.energy.meters.sources import SILENT_S, CountedZone, EnergySource, SampledRail

_log = logging.getLogger(__name__)

INA_PERIOD_S = 0.007
"""An INA3221 has a new value about so often."""
_COUNTER_PERIOD_S = 1.0
_MODEL_PERIOD_S = 0.02


@dataclass(frozen=True, slots=True)
class EnergyReading:
    """Joules since a meter was opened.

    Attributes:
        energy_j: joules of the whole board, or of the part that has sensors; no rail counts twice.
        power_w: power of the same, at the last sample.
        rails_j: label → joules of each rail that counts; of all that were ever read where parts
            were asked for. These may contain each other: do not add them up.
        rails_w: label → watts of the same at the last sample.
        source: whether the joules are `measured` or `modelled`.
        silent: counted rails that have not answered for more than a second; joules are missing.
        missing_s: longest time in seconds for which a counted rail has no joules, because it did
            not answer; includes a gap that has not ended.
        time_s: time of the reading, by the meter's time source.
    """

    energy_j: float
    power_w: float
    rails_j: Mapping[str, float]
    rails_w: Mapping[str, float]
    source: Literal['measured', 'modelled']
    missing_s: float = 0.0
    time_s: float = 0.0
    silent: tuple[str, ...] = ()


class Meter:
    """A thread that samples the sources that count, and readings at any time.

    A read of a rail goes over a slow bus (I2C), so rails that are parts of others are left alone
    until a reading asks for them.

    Args:
        name: name of the meter for people: `ina`, `jtop`, `counters`, `model`.
        sources: rails and counters.
        counted_labels: labels of the sources that add up to the whole board.
        source: whether the joules are `measured` or `modelled`.
        period_s: seconds between two samples.
        now: time source in seconds.
    """

    def __init__(
        self,
        name: str,
        sources: Sequence[EnergySource],
        counted_labels: set[str],
        source: Literal['measured', 'modelled'] = 'measured',
        period_s: float = INA_PERIOD_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.source = source
        self._sources = tuple(sources)
        self._counted = tuple(source for source in sources if source.label in counted_labels)
        self.period_s = period_s
        self._now = now
        self._lock = threading.Lock()
        self._silent: set[str] = set()
        self._answered_s: dict[str, float] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._start_s = now()
        self._sample(self._counted)

    def start(self) -> Meter:
        """Begin to sample in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=f'e4-meter-{self.name}', daemon=True)
        self._thread.start()
        return self

    @property
    def counted(self) -> tuple[str, ...]:
        """Labels of the sources that add up to the whole board."""
        return tuple(source.label for source in self._counted)

    def read(self, parts: bool = False) -> EnergyReading:
        """Sample now and return the sums. May wait for the sensor (INA3221: 13 ms a rail).

        Args:
            parts: whether to sample the rails that do not count, too. Their joules are those of the
                times at which somebody asked at least every five seconds.
        """
        with self._lock:
            time_s = self._now()
            shown = self._sources if parts else self._counted
            self._sample(shown)
            return EnergyReading(
                energy_j=sum(s.energy_j for s in self._counted),
                power_w=sum(s.power_w for s in self._counted),
                rails_j={s.label: s.energy_j for s in shown},
                rails_w={s.label: s.power_w for s in shown},
                source=self.source,
                missing_s=max(map(self._missing_s, self._counted), default=0.0),
                time_s=time_s,
                silent=tuple(s.label for s in self._counted if self._silent_s(s) > SILENT_S),
            )

    def _silent_s(self, source: EnergySource) -> float:
        if source.label not in self._silent:
            return 0.0
        return self._now() - self._answered_s.get(source.label, self._start_s)

    def _missing_s(self, source: EnergySource) -> float:
        return source.missing_s + self._silent_s(source)

    def close(self) -> None:
        """End the thread; may be called twice."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sample(self, sources: Sequence[EnergySource]) -> None:
        for source in sources:
            now_s = self._now()
            try:
                source.advance(now_s)
                self._answered_s[source.label] = now_s
                if source.label in self._silent:
                    self._silent.remove(source.label)
                    _log.warning('rail %s answers again', source.label)
            except DomainError as error:
                if source.label not in self._silent:
                    _log.warning('rail %s does not answer: %s', source.label, error)
                self._silent.add(source.label)

    def _run(self) -> None:
        while not self._stopping.wait(self.period_s):
            with self._lock:
                self._sample(self._counted)


def open_meter(
    root: str | Path = '/', board: Board | None = None, start: bool = True
) -> Meter | None:
    """The best meter that works below `root`, already sampling; close it when done.

    In this order: INA rails, jtop, RAPL and NVML counters together, the model of `board`. None if
    there is neither a sensor nor a board.

    Args:
        root: folder that holds ``sys/``.
        board: board whose model is used where there is no sensor.
        start: whether the meter samples by itself; if not, `read` it at least every `period_s`.
    """
    meter = _measured(Path(root)) or (model_meter(board, discover(root)) if board else None)
    return meter.start() if meter and start else meter


def _measured(root: Path) -> Meter | None:
    if rails := find_rails(root):
        sampled = [SampledRail(rail.label, rail.watts) for rail in rails]
        return Meter('ina', sampled, counted(rail.label for rail in rails))
    live = root == Path('/')
    if live and (watts := jtop.total_watts()):
        return Meter('jtop', [SampledRail('jtop', watts)], {'jtop'}, period_s=jtop.PERIOD_S)
    try:
        zones = find_zones(root)
    except DomainError as error:
        _log.warning('energy counters are left out: %s', error)
        zones = []
    zones += nvml.find_zones() if live else []
    if not any(zone.counted for zone in zones):
        return None
    return Meter(
        'counters',
        [CountedZone(zone.label, zone.joules, zone.range_j) for zone in zones],
        {zone.label for zone in zones if zone.counted},
        period_s=_COUNTER_PERIOD_S,
    )


def model_meter(
    board: Board,
    domains: Sequence[Domain],
    load: Callable[[], Mapping[str, float]] | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Meter:
    """A meter that reads the clocks and takes their power from the board's model.

    Args:
        board: board with the power model.
        domains: domains whose clocks are read; those that the board lacks are ignored.
        load: function that returns the busy share of each domain, 0 to 1; by default that of a
            board that infers without pause.
        now: time source in seconds.
    """
    sources = modelled_loads(board, domains, load)
    labels = {source.label for source in sources}
    return Meter('model', sources, labels, 'modelled', _MODEL_PERIOD_S, now)
