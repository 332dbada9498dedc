"""The frequency plan of one lease, kept right while the stream runs. No ROS in here.

It begins with a plan file, or with a plan made on the board's model. When the exits drift, the
deadline or the limits change, or clocks are held down by heat or a power mode, it plans again:
milliseconds, between two frames. A plan from a file is the user's: only limits replace it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from threading import Lock, RLock

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import BoardError, load_board
from e4_ros.energy.client.client import DvfsClient
from e4_ros.perception.active_plan import ActivePlan, Stream, Tables, limits_of, within
from e4_ros.perception.frequency_control import LONGEST_WAIT_S, DaemonControl
from e4_ros.perception.records import FrameRecord
from e4_ros.profiling.planning.ceiling import Ceiling
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.objective import SwitchCost
from e4_ros.profiling.planning.replan import Replanner


class LivePlan:
    """Puts plans in force for one lease. `observe` is the worker's, the rest the executor's.

    Args:
        client: holds the lease.
        stream: what runs.
        between_frames: held by whoever runs a frame; plans are replaced under it.
        plan_file: a plan (YAML); empty to plan here.
        deadline_s: longest latency a plan made here may expect; 0: see `Replanner`.
        domains: what plans made here clock, as far as the board and the helper know it.
        replan: whether to plan again when something changes.
        gain: share of energy that a plan for drifted exits must save.
        exit_shares: how often frames stopped where so far; none: every exit as often as any other.

    Raises:
        ValueError: the plan does not fit, no plan is possible, or the board is not known.
        OSError: the plan cannot be read, or the helper refuses it.
    """

    def __init__(
        self,
        client: DvfsClient,
        stream: Stream,
        between_frames: Lock,
        *,
        plan_file: str = '',
        deadline_s: float = 0.0,
        domains: Sequence[str] = ('cpu', 'gpu'),
        replan: bool = True,
        gain: float = 0.02,
        exit_shares: Mapping[str, float] | None = None,
    ) -> None:
        self.replan = replan
        self.problem = ''
        self.made = 0
        self._board, self._tables = client.board, dict(client.frequencies_hz)
        self._stream, self._domains = stream, domains
        self._limits = limits_of(self._tables)
        self._ceiling = Ceiling()
        self._answered_s: float | None = None
        self._between_frames, self._state = between_frames, RLock()
        self._given = self._read(plan_file)
        shares = exit_shares or dict.fromkeys(stream.paths, 1.0)
        self._replanner = self._make_replanner(shares, deadline_s, gain)
        self.active = self._given or self._here('the stream begins')
        client.set_plan(self.active.plan)
        self.clocks = DaemonControl(client, stream.works, self.active.plan)

    @property
    def exit_shares(self) -> dict[str, float] | None:
        """The running average of the exits; None where nobody plans."""
        return None if self._replanner is None else self._replanner.exit_shares

    def observe(self, record: FrameRecord) -> None:
        """A frame was answered: plan again if the exits have drifted or clocks are held down."""
        exit_name = record.result.exit
        if self._replanner is None or not self.replan or exit_name not in self._stream.paths:
            return
        with self._state:
            try:
                drifted = self._replanner.observe(exit_name, self._period_s()) is not None
                if drifted and self.active is not self._given:
                    self._install(self._here(self._replanner.why))
                if record.points and self._judge(exit_name, record.points[-1]):
                    held = bool(self._ceiling.highest_hz)
                    self._keep_limits('clocks are held down' if held else 'trying all clocks again')
            except (ValueError, OSError) as error:
                self.problem = f'planning again failed: {error}'

    def check_file(self, file: str) -> None:
        """Raise ValueError or OSError, with the reason, unless :meth:`load` could take ``file``."""
        if self._read(file) is None and self._replanner is None:
            raise BoardError(f'nothing is known of board {self._board!r}: a plan file is needed')

    def load(self, file: str) -> None:
        """Put a plan file in force; empty: go back to planning here.

        Raises:
            ValueError, OSError: see :meth:`check_file`; the plan before stays.
        """
        with self._state:
            self.check_file(file)
            given = self._read(file)
            if given is not None or self._given is not None:
                self._install(given or self._here('the plan file was taken away'))
            self._given = given

    def check_deadline(self, deadline_s: float) -> None:
        """Raise PlanningError where no plan would meet ``deadline_s``."""
        if self._replanner is not None:
            self._replanner.check_deadline(deadline_s)

    def set_deadline(self, deadline_s: float) -> None:
        """Plan for another deadline.

        Raises:
            PlanningError: nothing meets it; the plan before stays.
            OSError: the helper refuses the plan.
        """
        with self._state:
            changed = self._replanner is not None and self._replanner.set_deadline(deadline_s)
            if changed and self.active is not self._given:
                self._install(self._here('the deadline changed'))

    def set_tables(self, tables: Tables) -> None:
        """The helper allows other clocks now: keep to them.

        Raises:
            OSError: the helper refuses the plan.
        """
        with self._state:
            limits = limits_of({name: hz for name, hz in tables.items() if name in self._tables})
            if limits != self._limits and self._replanner is not None and self.replan:
                self._limits = limits
                self._keep_limits('the limits changed')

    def _period_s(self) -> float | None:
        """Time since the answer before; None where there was none, or the stream had stopped."""
        before, self._answered_s = self._answered_s, time.monotonic()
        if before is None or self._answered_s - before > LONGEST_WAIT_S:
            return None
        return self._answered_s - before

    # -- how ------------------------------------------------------------------------------------

    def _make_replanner(
        self, shares: Mapping[str, float], deadline_s: float, gain: float
    ) -> Replanner | None:
        try:
            board = load_board(self._board)
        except BoardError:
            if self._given is None:
                raise
            return None  # the file is all that there is
        domains = [n for n in self._domains if n in board.domains and n in self._tables]
        if not domains:
            raise ValueError(
                f'nothing to plan: plan_domains is {list(self._domains)}, and the helper of '
                f'{self._board} offers {list(self._tables)}'
            )
        model, stream = BoardModel(board), self._stream
        table = CostTable.from_board(model, stream.works, stream.model, domains, self._tables)
        switch = SwitchCost.of_board(board, domains)
        return Replanner(
            table, stream.paths, shares, deadline_s, switch, gain=gain, idle_w=model.idle_w
        )

    def _read(self, file: str) -> ActivePlan | None:
        if not file:
            return None
        return ActivePlan(self._stream.load(file, self._board, self._tables), f'from {file}')

    def _here(self, why: str) -> ActivePlan:
        assert self._replanner is not None
        self.made += 1
        plan = self._replanner.plan
        return ActivePlan(plan.model_copy(update={'name': f'{plan.name} #{self.made}'}), why)

    def _judge(self, exit_name: str, got: Mapping[str, int]) -> bool:
        """Compare the clocks that the last segment had with what the plan asks for it."""
        segment = self._stream.paths[exit_name][-1]
        for path in reversed(self.active.plan.paths.values()):
            if segment in path.segments:
                return self._ceiling.observe(path.points[path.segments.index(segment)], got)
        return False

    def _keep_limits(self, why: str) -> None:
        """Plan within the helper's limits and below the ceiling; a plan file goes if it must."""
        assert self._replanner is not None
        limits = dict(self._limits)
        for name, highest in self._ceiling.highest_hz.items():
            low, high = limits.get(name, (0, highest))
            limits[name] = (low, min(high, highest))
        problem, changed = '', False
        try:
            changed = self._replanner.set_limits(limits) is not None
        except ValueError as error:
            problem = f'{why}, and no plan fits: {error}'
        if self._given is not None and within(self._given.plan, limits):
            if self.active is not self._given:
                self._install(self._given)
        elif problem:
            self.problem = problem
        elif changed or self.active is self._given:
            self._install(self._here(why))

    def _install(self, active: ActivePlan) -> None:
        with self._between_frames:
            self.clocks.replace(active.plan)
        self.active, self.problem = active, ''
