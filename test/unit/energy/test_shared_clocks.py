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

"""Several leases on one core: each clock is the highest that one of them wants."""

from __future__ import annotations

import errno
import random
import tempfile
from pathlib import Path

import pytest

from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.core import ClocksLost, DaemonCore
from e4_ros.energy.daemon.lease import Lease, Peer
from e4_ros.energy.daemon.recovery import recover
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.errors import DeviceGone, WriteRefused

BOARD = 'jetson_orin_nano'


class CountedLog(UndoLog):
    """An undo log that counts what goes to disk."""

    writes = 0

    def write(self, *args) -> None:
        self.writes += 1
        super().write(*args)


@pytest.fixture
def undo_log(short_dir):
    return CountedLog(short_dir / 'state')


@pytest.fixture
def domains(board_root, bad_domain):
    return {domain.name: bad_domain(domain) for domain in discover(board_root)}


@pytest.fixture
def page():
    page = PageWriter()
    yield page
    page.close()


@pytest.fixture
def core(board_root, domains, undo_log, page):
    return DaemonCore(BOARD, board_root, list(domains.values()), undo_log, page)


def begun(core, client):
    lease = Lease(client, Peer(1, 2, 3))
    core.begin(lease)
    return lease


@pytest.fixture
def front(core):
    return begun(core, 'front')


@pytest.fixture
def rear(core):
    return begun(core, 'rear')


def clocks(core):
    return {name: domain.current_hz() for name, domain in core.domains.items()}


def changed(before, now):
    return {name for name, text in now.items() if before[name] != text}


def test_each_clock_is_the_highest_that_is_wanted(core, front, rear, board_root, sweep, files):
    before = files(board_root)
    plan = sweep(core.frequencies_hz)
    core.set_plan(front, plan)
    core.set_plan(rear, plan)
    for lease, segment, highest in [
        (front, 1, 1), (rear, 3, 3), (front, 2, 3), (rear, 0, 2), (front, 0, 0), (rear, 1, 1)
    ]:  # fmt: skip
        core.step(lease, 0, segment)
        assert clocks(core) == plan.point('full', highest)
    core.end(front)
    assert clocks(core) == plan.point('full', 1)
    core.end(rear)
    assert files(board_root) == before


def test_clocks_of_two_are_not_switched_for_what_changes_nothing(core, front, rear, sweep, domains):
    """A slower wish beside a faster one needs no write."""
    plan = sweep(core.frequencies_hz)
    core.set_plan(front, plan)
    core.set_plan(rear, plan)
    core.step(front, 0, 3)
    core.step(rear, 0, 0)
    for domain in domains.values():
        domain.set_errors = [WriteRefused(errno.EBUSY, 'busy')] * 9
    for segment in (1, 2, 1, 0):
        core.step(rear, 0, segment)
    assert rear.steps.read() == (0, 5, 0)
    assert clocks(core) == plan.point('full', 3)


@pytest.mark.parametrize('leave', ['rest', 'end'])
def test_who_leaves_takes_only_its_own(core, front, rear, board_root, sweep, files, leave):
    before = files(board_root)
    tables = core.frequencies_hz
    core.set_plan(front, sweep({'cpu': tables['cpu'], 'gpu': tables['gpu']}))
    core.set_plan(rear, sweep({'gpu': tables['gpu'], 'emc': tables['emc']}))
    core.step(front, 0, 1)
    core.step(rear, 0, 3)
    assert clocks(core) == {
        'cpu': tables['cpu'][1],
        'gpu': tables['gpu'][3 % len(tables['gpu'])],
        'emc': tables['emc'][3 % len(tables['emc'])],
    }
    getattr(core, leave)(rear)
    assert clocks(core) == {
        'cpu': tables['cpu'][1],
        'gpu': tables['gpu'][1],
        'emc': core.domains['emc'].current_hz(),
    }
    assert not any('emc' in name for name in changed(before, files(board_root)))
    getattr(core, leave)(front)
    assert files(board_root) == before


def test_who_rests_comes_back_with_its_next_step(core, front, rear, sweep):
    plan = sweep(core.frequencies_hz)
    core.set_plan(front, plan)
    core.set_plan(rear, plan)
    core.step(front, 0, 1)
    core.step(rear, 0, 3)
    core.rest(rear)
    core.rest(rear)
    assert clocks(core) == plan.point('full', 1)
    core.step(rear, 0, 2)
    assert clocks(core) == plan.point('full', 2)
    assert rear.steps.read() == (2, 0, 0)


def test_clock_of_who_left_does_not_stay_for_who_has_not_stepped(
    core, front, rear, board_root, sweep, files
):
    plan = sweep({'gpu': core.frequencies_hz['gpu']})
    before = files(board_root)
    core.set_plan(front, plan)
    core.step(front, 0, 3)
    core.set_plan(rear, plan)
    core.end(front)
    assert files(board_root) == before
    core.step(rear, 0, 1)
    assert clocks(core)['gpu'] == plan.point('full', 1)['gpu']


def test_wish_stays_until_the_first_step_of_another_plan(core, front, rear, sweep):
    plan = sweep(core.frequencies_hz)
    core.set_plan(front, plan)
    core.set_plan(rear, plan)
    core.step(front, 0, 3)
    core.step(rear, 0, 1)
    core.set_plan(front, plan.model_copy(update={'name': 'another'}))
    assert clocks(core) == plan.point('full', 3)
    core.step(front, 0, 0)
    assert clocks(core) == plan.point('full', 1)


def test_failed_step_of_one_leaves_all_as_they_were(core, front, rear, domains, sweep):
    plan = sweep(core.frequencies_hz)
    core.set_plan(front, plan)
    core.set_plan(rear, plan)
    core.step(front, 0, 1)
    core.step(rear, 0, 2)
    domains['emc'].set_errors = [WriteRefused(errno.EBUSY, 'busy')]
    core.step(rear, 0, 3)
    assert clocks(core) == plan.point('full', 2)
    assert (front.steps.read().failed, rear.steps.read().failed) == (0, 1)


def test_who_loses_its_clocks_loses_only_its_own(core, front, rear, domains, sweep):
    tables = core.frequencies_hz
    plan = sweep({'cpu': tables['cpu']})
    core.set_plan(front, plan)
    core.set_plan(rear, sweep({'cpu': tables['cpu'], 'gpu': tables['gpu']}))
    core.step(front, 0, 1)
    gpu = core.domains['gpu'].current_hz()
    domains['gpu'].set_errors = [DeviceGone(errno.ENODEV, 'the gpu has disappeared')]
    with pytest.raises(ClocksLost, match='disappeared'):
        core.step(rear, 0, 3)
    assert rear.plan is None
    assert clocks(core)['cpu'] == plan.point('full', 1)['cpu']
    assert clocks(core)['gpu'] == gpu
    core.step(front, 0, 2)
    assert clocks(core)['cpu'] == plan.point('full', 2)['cpu']


def test_board_that_takes_nothing_more_lets_all_rest(
    core, front, rear, domains, board_root, sweep, files
):
    before = files(board_root)
    plan = sweep(core.frequencies_hz)
    core.set_plan(front, plan)
    core.set_plan(rear, plan)
    core.step(front, 0, 1)
    core.step(rear, 0, 3)
    domains['cpu'].set_errors = [WriteRefused(errno.EBUSY, 'busy')]
    core.end(rear)
    assert files(board_root) == before
    core.step(front, 0, 1)
    assert clocks(core) == plan.point('full', 1)


def test_counters_are_each_lease_s_own_and_the_daemon_sums_them(core, front, rear, page, sweep):
    plan = sweep(core.frequencies_hz)
    for lease, steps in ((front, 2), (rear, 3)):
        core.set_plan(lease, plan)
        for segment in range(steps):
            core.step(lease, 0, segment)
    assert front.steps.read() == (2, 0, 0)
    assert rear.steps.read().received == 3
    assert page.counters().received == 5
    core.end(front)
    core.step(front, 0, 1)  # its thread was late
    assert page.counters().received == 5
    assert begun(core, 'next').steps.read() == (0, 0, 0)
    assert page.counters().received == 5


# --- the undo log of all ---


def test_slow_cameras_write_the_undo_log_once(
    core, front, rear, undo_log, board_root, sweep, files
):
    """A frame every few seconds acquires the clocks anew, and nothing has changed meanwhile."""
    before = files(board_root)
    plan = sweep(core.frequencies_hz)
    core.set_plan(front, plan)
    core.set_plan(rear, plan)
    core.rest(front)
    core.rest(rear)
    for _ in range(20):
        for lease in (front, rear):
            core.step(lease, 0, 1)
            core.step(lease, 0, 2)
            assert len(undo_log.read().entries) == 3
            core.rest(lease)
            assert files(board_root) == before
            assert undo_log.read().entries == ()
    assert undo_log.writes == 1
    core.end(front)
    assert undo_log.path.exists()
    core.end(rear)
    assert not undo_log.path.exists()


def test_what_others_set_while_a_lease_rests_is_its_new_state(
    core, front, undo_log, domains, board_root, sweep, files
):
    core.set_plan(front, sweep(core.frequencies_hz))
    core.step(front, 0, 1)
    core.rest(front)
    device = domains['gpu'].device
    (device / 'max_freq').write_text('510000000\n')
    before = files(board_root)
    core.step(front, 0, 1)
    assert undo_log.writes == 2
    core.rest(front)
    assert files(board_root) == before
    assert undo_log.writes == 2
    # A daemon that is killed now has nothing to bring back.
    (device / 'max_freq').write_text('408000000\n')
    before = files(board_root)
    assert recover(undo_log, BOARD, board_root) == []
    assert files(board_root) == before


def test_log_that_was_taken_away_is_written_again(core, front, undo_log, board_root, sweep, files):
    before = files(board_root)
    core.set_plan(front, sweep(core.frequencies_hz))
    core.step(front, 0, 1)
    core.rest(front)
    undo_log.path.unlink()
    core.step(front, 0, 1)
    assert len(undo_log.read().entries) == 3
    core.end(front)
    assert files(board_root) == before


def test_clock_that_is_stuck_holds_up_only_who_needs_it(
    core, front, rear, domains, undo_log, board_root, sweep, files
):
    before = files(board_root)
    tables = core.frequencies_hz
    core.set_plan(front, sweep({'cpu': tables['cpu']}))
    core.set_plan(rear, sweep({'gpu': tables['gpu']}))
    core.step(front, 0, 1)
    core.step(rear, 0, 1)
    domains['gpu'].restore_lines = ['gpu is stuck']
    core.rest(rear)
    assert core.problems == ['gpu is stuck']
    assert {entry.name for entry in undo_log.read().entries} == {'cpu', 'gpu'}
    core.step(front, 0, 2)
    assert clocks(core)['cpu'] == front.plan.point('full', 2)['cpu']
    with pytest.raises(ClocksLost, match='not all restored: gpu is stuck'):
        core.step(rear, 0, 1)
    domains['gpu'].restore_lines = []
    assert core.recover() == []
    assert {entry.name for entry in undo_log.read().entries} == {'cpu'}
    core.end(front)
    assert files(board_root) == before


# --- any order of everything, against a simple model ---


def draw_plan(rng, tables, sweep):
    names = rng.sample(sorted(tables), rng.randint(1, len(tables)))
    shuffled = {name: tuple(rng.sample(tables[name], len(tables[name]))) for name in names}
    return sweep(shuffled, points=rng.randint(1, 6))


@pytest.mark.parametrize('seed', range(12))
def test_clocks_are_the_maximum_of_what_is_wanted_whatever_happens(seed, board_root, sweep, files):
    rng = random.Random(seed)
    before, page = files(board_root), PageWriter()
    with tempfile.TemporaryDirectory() as folder:
        log = UndoLog(Path(folder) / 'state')
        core = DaemonCore(BOARD, board_root, discover(board_root), log, page)
        tables, idle = core.frequencies_hz, clocks(core)
        wants: dict[Lease, dict[str, int]] = {}  # the model: lease → what it wants now
        for _ in range(150):
            event = rng.choice(('begin', 'plan', 'step', 'step', 'step', 'rest', 'end', 'kill'))
            lease = rng.choice(list(wants)) if wants else None
            if event == 'begin' and len(wants) < 4:
                wants[begun(core, 'any')] = {}
            elif event == 'kill' and rng.random() < 0.2:  # of the daemon: the next one recovers
                assert recover(log, BOARD, board_root) == []
                core = DaemonCore(BOARD, board_root, discover(board_root), log, page)
                wants = {}
            elif lease is None:
                continue
            elif event == 'plan':
                plan = draw_plan(rng, tables, sweep)
                if lease.plan is None or set(plan.domains) != set(lease.plan.domains):
                    wants[lease] = {}
                core.set_plan(lease, plan)
            elif event == 'step' and lease.plan is not None:
                segment = rng.randrange(len(lease.plan.segments))
                core.step(lease, 0, segment)
                wants[lease] = dict(lease.plan.point('full', segment))
            elif event == 'rest':
                core.rest(lease)
                wants[lease] = {}
            elif event == 'end':
                core.end(lease)
                del wants[lease]
            for name, hertz in clocks(core).items():
                wanted = [point[name] for point in wants.values() if name in point]
                assert hertz == (max(wanted) if wanted else idle[name]), (event, name)
        for lease in wants:
            core.end(lease)
        assert files(board_root) == before
        assert log.read() is None
    page.close()
