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

"""The machine that a comparison runs on: its clocks, its joules, its temperatures."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.boards import board_names, load_board
from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient
from e4_ros.energy.daemon.daemon import DaemonConfig
from e4_ros.energy.daemon.hold_point import daemon_client
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.identify import identify
from e4_ros.energy.meters.meters import EnergyReading, Meter, model_meter, open_meter
from e4_ros.energy.meters.thermal import ThermalZones
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.energy.power_mode import read_power_mode
from e4_ros.evaluation.comparison.arms import Arm
from e4_ros.evaluation.comparison.block import Answer, Answered, BlockError, EnergyReader
from e4_ros.evaluation.comparison.feed import Arrived
from e4_ros.evaluation.comparison.timing import RealClock
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import Wishes
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.frequency_control import NoControl
from e4_ros.perception.live_control import LiveControl
from e4_ros.perception.live_plan import LivePlan
from e4_ros.perception.palette import hertz
from e4_ros.perception.perceiver import Perceiver
from e4_ros.profiling.measuring.host import may_set
from e4_ros.profiling.measuring.power import PageMeter

_log = logging.getLogger(__name__)

_PATIENCE_S = 60.0  # for a lease that is refused: a board that is hot, or was a moment ago
_EXACT = 'e4/energy_j'


class _NoMeter(EnergyReader):
    """Nothing tells the joules."""

    def read(self) -> EnergyReading:
        """The time alone."""
        return EnergyReading(math.nan, math.nan, {}, {}, 'modelled', time_s=time.monotonic())


class Host:
    """The machine at hand, or a virtual board's root. Close it when done.

    Args:
        config: Settings of the daemon: where it listens, and the root of the machine's files.
        power_like: Name of a board whose power model is used where there is no meter.

    Attributes:
        clock: Its time.
        board: Name of the board.
        meter: Its joules; NaN where nothing tells them, not even a model.
        measured: Whether they are measured.
        meter_name: Name of the meter or model; empty without.
        no_clocks: Why the clocks cannot be set; empty where they can.
    """

    def __init__(self, config: DaemonConfig, power_like: str = '') -> None:
        self.clock = RealClock()
        self.board = config.board or identify(config.root)
        self.root = config.root
        self._zones = ThermalZones(config.root)
        self._exact = config.root / _EXACT
        self._domains = discover(config.root)
        self._plans: dict[str, str] = {}
        self._socket = ''
        self._busy, self._load = False, dict[str, float]()
        self._stack = ExitStack()
        self._players: dict[bool, Perceiver] = {}
        self._controls: dict[str, LiveControl] = {}
        self._live: LivePlan | None = None
        self._wishes: dict[str, Wishes] = {}
        try:
            self.no_clocks = self._open_daemon(config)
            self._page_client: DvfsClient | None = None
            self.meter, self.measured, self.meter_name = self._open_meter(power_like)
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        """Give everything back."""
        self._stack.close()

    def prepare(
        self,
        players: Mapping[bool, Perceiver],
        works: Mapping[bool, Sequence[SegmentWork]],
        arms: Sequence[Arm],
        domains: Sequence[str],
        wishes: Sequence[Wishes],
    ) -> str:
        """Get ready to run the arms.

        Args:
            players: Answer frames, with exits and without.
            works: What their segments ask of the board.
            arms: The arms.
            domains: Names of the domains that plans clock.
            wishes: What is asked of a plan; the first that can be met counts.

        Returns:
            Why no arm can have clocks; empty where they can.
        """
        self._players = dict(players)
        if works[True][-1].runs_on != 'engine' and self._load:
            self._load = {'emc': 0.5, 'cpu': 1.0}
        if self.no_clocks:
            return self.no_clocks
        for arm in (arm for arm in arms if arm.clocks):
            engine = players[arm.exits].engine
            stream = Stream(engine.model.name, works[arm.exits], dict(engine.paths))
            controller = make_controller(arm.controller, Context(stream, domains))
            self._controls[arm.name] = LiveControl(
                controller, stream, [engine], threading.Lock(), lambda: self._live
            )
            try:
                self._wishes[arm.name] = self._fitting(arm, wishes)
            except (ValueError, OSError) as error:
                self.no_clocks = str(error)
                break
        return self.no_clocks

    def _fitting(self, arm: Arm, wishes: Sequence[Wishes]) -> Wishes:
        """The first wishes that a plan can meet."""
        for number, wish in enumerate(wishes):
            self._wishes[arm.name] = wish
            try:
                with self.arm(arm):
                    return wish
            except ValueError:
                if number == len(wishes) - 1:
                    raise
        raise AssertionError('there is a wish')

    @contextmanager
    def arm(self, arm: Arm) -> Iterator[Answer]:
        """Answer as an arm does; a clocked one holds the lease meanwhile.

        Raises:
            BlockError: the lease cannot be had, or was lost.
        """
        player = self._players[arm.exits]
        if not arm.clocks:
            player.clocks = NoControl()
            yield lambda arrived: self._answered(player, arrived)
            return
        control = self._controls[arm.name]
        client = self._page_client or DvfsClient(self._socket)
        try:
            if client.state is not ClientState.HELD:
                _acquire(client)
            self._live = control.take_lease(client, self._wishes[arm.name])
            player.clocks = self._live.clocks
            control.loop.start()

            def answer(arrived: Arrived) -> Answered:
                if client.state is not ClientState.HELD:
                    raise BlockError(f'the lease was lost: {client.lost_because}')
                return self._answered(player, arrived, control)

            yield answer
            if client.state is not ClientState.HELD:
                raise BlockError(f'the lease was lost: {client.lost_because}')
        finally:
            control.loop.stop()
            if self._live is not None:
                self._plans[arm.name] = _clocks_of(self._live.active.plan)
            self._live, player.clocks = None, NoControl()
            _release(client)
            if client is self._page_client:
                _acquire(client)

    def temperatures_c(self) -> Mapping[str, float]:
        """Thermal zone → degrees Celsius, of zones that say how hot the chip is."""
        return {zone.kind: zone.temperature_c for zone in self._zones.read()}

    def hot(self) -> str:
        """The zone that is above its limit; empty: none."""
        for zone in self._zones.read():
            if zone.temperature_c >= zone.limit_c:
                return f'{zone.kind} at {zone.temperature_c:.1f} °C, limit {zone.limit_c:g} °C'
        return ''

    def exact_j(self) -> float:
        """What a virtual board's model says; NaN elsewhere."""
        try:
            return float(self._exact.read_text())
        except (OSError, ValueError):
            return math.nan

    def clocks_hz(self) -> dict[str, int]:
        """Domain → the clock that it has now, in hertz."""
        return {domain.name: domain.current_hz() for domain in self._domains}

    def plans(self) -> dict[str, str]:
        """Arm → the clocks of its plan for the deepest path, for people."""
        return dict(self._plans)

    def power_mode(self) -> str:
        """The power mode that a Jetson is in; empty elsewhere."""
        seen = read_power_mode(self.root)
        return '' if seen is None else seen.name or f'mode {seen.id}'

    def rails(self) -> Mapping[str, float]:
        """Rail or load → watts now; empty where the meter has none."""
        if isinstance(self.meter, Meter):
            return dict(self.meter.read(parts=True).rails_w)
        return {}

    def _answered(
        self, player: Perceiver, arrived: Arrived, control: LiveControl | None = None
    ) -> Answered:
        self._busy = True
        record = player.process(arrived.frame, arrived.stamp_s, arrived.index)
        if control is not None:
            control.observe(record)
        player.audit(arrived.frame, record)
        self._busy = False
        return Answered(record.result.exit, record.result.detections)

    def _open_daemon(self, config: DaemonConfig) -> str:
        """Find a daemon or run one in this process; why there are no clocks, if there are none."""
        try:
            may_set({domain.name: domain for domain in self._domains}, config)
            client = daemon_client(config, self._stack)
            held = [lease['client'] for lease in client.status()['leases']]
        except OSError as error:
            return str(error)
        if held:
            raise OSError(
                f'{", ".join(held)} holds the clocks; end it first: what is compared needs the '
                'board for itself'
            )
        self._socket = client.socket_path
        return ''

    def _open_meter(self, power_like: str) -> tuple[EnergyReader, bool, str]:
        """The best meter: sensors, the daemon's page, a model that knows when the board works."""
        meter = open_meter(self.root)
        if meter is not None:
            self._stack.callback(meter.close)
            return meter, meter.source == 'measured', meter.name
        if not self.no_clocks:
            # A lease without a plan leaves the clocks alone, and shows the daemon's joules.
            client = DvfsClient(self._socket)
            _acquire(client)
            if client.applied().source == 'measured':
                self._page_client = client
                self._stack.callback(client.close)
                return PageMeter(client), True, 'the daemon'
            _release(client)
        model = self._modelled(power_like)
        if model is None:
            return _NoMeter(), False, ''
        return model, False, f'the model of {power_like or self.board}'

    def _modelled(self, power_like: str) -> Meter | None:
        name = power_like or self.board
        if not power_like and name not in board_names():
            return None
        board = load_board(name)
        self._load = {'emc': 0.5, 'cpu': 1 / board.domains['cpu'].cores} | {board.engine: 1.0}

        def load() -> Mapping[str, float]:
            return self._load if self._busy else {}

        meter = model_meter(board, self._domains, load)
        self._stack.callback(meter.close)
        return meter.start()


def _clocks_of(plan: FrequencyPlan) -> str:
    """The clocks of each exit, from the lowest to the highest where its segments differ."""
    texts = []
    for name, path in plan.paths.items():
        spans = []
        for domain in plan.domains:
            hz = sorted({point[domain] for point in path.points if domain in point})
            spans += [
                f'{domain} ' + ' to '.join(hertz(end) for end in dict.fromkeys((hz[0], hz[-1])))
            ]
        texts.append(f'{name}: ' + ', '.join(spans))
    same = {text.partition(': ')[2] for text in texts}
    return same.pop() if len(same) == 1 else '; '.join(texts)


def _acquire(client: DvfsClient) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            client.acquire('e4 compare', exclusive=True)
            return
        except DaemonError as error:
            if time.monotonic() > until_s:
                raise BlockError(f'the clocks cannot be had: {error}') from error
            time.sleep(1.0)


def _release(client: DvfsClient) -> None:
    try:
        client.release()
    except DaemonError as error:
        _log.warning('%s', error)
