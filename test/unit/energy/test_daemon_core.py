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

from __future__ import annotations

import errno

import pytest

from e4_ros.energy.client.status_page import DaemonState, PageWriter
from e4_ros.energy.daemon.core import MAX_FAILURES, ClocksLost, DaemonCore
from e4_ros.energy.daemon.lease import Lease, Peer
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.errors import DeviceGone, DomainError, NotPermitted, WriteRefused
from e4_ros.energy.plan import PlanError

BUSY = WriteRefused(errno.EBUSY, 'busy')


@pytest.fixture
def domains(board_root, bad_domain):
    return {domain.name: bad_domain(domain) for domain in discover(board_root)}


@pytest.fixture
def undo_log(short_dir):
    return UndoLog(short_dir / 'state')


@pytest.fixture
def page():
    page = PageWriter()
    yield page
    page.close()


@pytest.fixture
def core(board_root, domains, undo_log, page):
    return DaemonCore('jetson_orin_nano', board_root, list(domains.values()), undo_log, page)


@pytest.fixture
def lease(core):
    return begun(core)


def begun(core, client='robot'):
    lease = Lease(client, Peer(1, 2, 3))
    core.begin(lease)
    return lease


def clocks(core):
    return {name: domain.current_hz() for name, domain in core.domains.items()}


def test_steps_set_the_plans_points_and_the_end_restores_the_state(
    core, lease, board_root, sweep, files
):
    before = files(board_root)
    plan = sweep(core.frequencies_hz)
    core.set_plan(lease, plan)
    for segment in (0, 3, 1):
        core.step(lease, 0, segment)
        assert clocks(core) == plan.point('full', segment)
    assert core.end(lease) == []
    assert files(board_root) == before


def test_saved_state_is_on_disk_before_the_first_write(
    core, lease, domains, undo_log, sweep, files
):
    seen = []
    domains['cpu'].__dict__['open'] = lambda: seen.append(undo_log.read())
    core.set_plan(lease, sweep(core.frequencies_hz))
    assert [entry.name for entry in seen[0].entries] == ['cpu', 'gpu', 'emc']
    core.end(lease)
    assert undo_log.read() is None


def test_step_that_changes_nothing_is_skipped(core, lease, page, sweep):
    core.set_plan(lease, sweep(core.frequencies_hz))
    for path, segment in [(0, 1), (0, 1), (0, 99), (9, 0)]:
        core.step(lease, path, segment)
    assert page.counters() == (1, 3, 0)


def test_plan_that_does_not_fit_leaves_the_one_before(core, lease, sweep):
    core.set_plan(lease, sweep(core.frequencies_hz))
    core.step(lease, 0, 1)
    before = clocks(core)
    with pytest.raises(PlanError, match='made for board'):
        core.set_plan(lease, sweep(core.frequencies_hz, board='jetson_nano'))
    with pytest.raises(PlanError, match='no frequency 1 Hz'):
        core.set_plan(lease, sweep({'cpu': (1,)}))
    with pytest.raises(PlanError, match='unknown domain dla'):
        core.set_plan(lease, sweep({'dla': (1,)}))
    assert clocks(core) == before
    assert lease.plan.name == 'sweep'


def test_configured_limits_bind(board_root, domains, undo_log, page, sweep):
    gpu = domains['gpu'].frequencies_hz
    limits = {'gpu': (0, gpu[1])}
    core = DaemonCore(
        'jetson_orin_nano', board_root, list(domains.values()), undo_log, page, limits
    )
    assert core.frequencies_hz['gpu'] == gpu[:2]
    with pytest.raises(PlanError, match='outside the allowed'):
        core.set_plan(lease, sweep({'gpu': gpu[2:3]}))


@pytest.mark.parametrize(
    ('limits', 'says'), [({'dla': (1, 2)}, 'unknown domain'), ({'gpu': (1, 2)}, 'no frequency')]
)
def test_senseless_limits(board_root, domains, undo_log, page, limits, says):
    with pytest.raises(ValueError, match=says):
        DaemonCore('jetson_orin_nano', board_root, list(domains.values()), undo_log, page, limits)


def test_read_only_file_takes_nothing(core, lease, domains, board_root, undo_log, sweep, files):
    before = files(board_root)
    domains['emc'].open_error = NotPermitted(errno.EACCES, 'rate is read-only')
    with pytest.raises(NotPermitted, match='read-only'):
        core.set_plan(lease, sweep(core.frequencies_hz))
    assert files(board_root) == before
    assert lease.plan is None
    assert undo_log.read() is None
    core.step(lease, 0, 1)
    assert files(board_root) == before


def test_failed_step_leaves_the_point_before(core, lease, domains, page, sweep):
    core.set_plan(lease, sweep(core.frequencies_hz))
    core.step(lease, 0, 0)
    before = clocks(core)
    domains['emc'].set_errors = [BUSY]
    core.step(lease, 0, 1)
    assert clocks(core) == before
    assert page.counters().failed == 1
    core.step(lease, 0, 1)
    assert clocks(core) == lease.plan.point('full', 1)


def test_failed_first_step_restores_everything(core, lease, domains, board_root, sweep, files):
    before = files(board_root)
    core.set_plan(lease, sweep(core.frequencies_hz))
    domains['emc'].set_errors = [BUSY]
    with pytest.raises(ClocksLost, match='busy'):
        core.step(lease, 0, 1)
    assert files(board_root) == before


def test_steps_that_keep_failing_restore_everything(core, lease, domains, board_root, sweep, files):
    before = files(board_root)
    core.set_plan(lease, sweep(core.frequencies_hz))
    core.step(lease, 0, 0)
    for _ in range(MAX_FAILURES):
        domains['emc'].set_errors = [BUSY]
        core.step(lease, 0, 1)
    domains['emc'].set_errors = [BUSY]
    with pytest.raises(ClocksLost):
        core.step(lease, 0, 1)
    assert files(board_root) == before


def test_rollback_that_fails_restores_everything(core, lease, domains, board_root, sweep, files):
    before = files(board_root)
    core.set_plan(lease, sweep(core.frequencies_hz))
    core.step(lease, 0, 0)
    domains['cpu'].set_errors = [None, BUSY]
    domains['gpu'].set_errors = [BUSY]
    with pytest.raises(ClocksLost):
        core.step(lease, 0, 1)
    assert files(board_root) == before


def test_device_that_disappears_ends_the_plan(core, lease, domains, board_root, sweep, files):
    before = files(board_root)
    core.set_plan(lease, sweep(core.frequencies_hz))
    core.step(lease, 0, 0)
    domains['gpu'].set_errors = [DeviceGone(errno.ENODEV, 'the gpu has disappeared')]
    with pytest.raises(ClocksLost, match='disappeared'):
        core.step(lease, 0, 1)
    assert files(board_root) == before
    assert lease.plan is None


def test_rest_restores_until_the_next_step(core, lease, board_root, page, undo_log, sweep, files):
    before = files(board_root)
    core.set_plan(lease, sweep(core.frequencies_hz))
    core.step(lease, 0, 2)
    core.rest(lease)
    assert files(board_root) == before
    assert undo_log.read().entries == ()
    core.step(lease, 0, 2)
    assert clocks(core) == lease.plan.point('full', 2)
    assert len(undo_log.read().entries) == 3


def test_what_is_not_restored_is_tried_again(core, lease, domains, undo_log, sweep):
    core.set_plan(lease, sweep(core.frequencies_hz))
    core.step(lease, 0, 1)
    domains['gpu'].restore_lines = ['gpu is stuck']
    assert core.end(lease) == ['gpu is stuck']
    assert undo_log.read() is not None
    assert 'gpu is stuck' in core.refusal()
    assert core.recover() == []
    assert core.refusal() == ''
    assert undo_log.read() is None


def test_damaged_undo_log_stops_a_plan_before_any_write(
    core, lease, undo_log, board_root, sweep, files
):
    undo_log.path.write_text('{')
    before = files(board_root)
    with pytest.raises(DomainError, match='not a whole undo log'):
        core.set_plan(lease, sweep(core.frequencies_hz))
    assert files(board_root) == before


def test_clock_moved_by_others_is_seen_and_put_right(core, lease, board_root, page, sweep):
    core.set_plan(lease, sweep(core.frequencies_hz))
    core.step(lease, 0, 1)
    wanted = clocks(core)
    gpu = core.domains['gpu']
    gpu._domain.set_hz(gpu.allowed_hz[-1])
    core.refresh()
    core.step(lease, 0, 1)
    assert clocks(core) == wanted
    assert page.counters().applied == 2


def test_plan_over_fewer_domains_restores_the_others(core, lease, board_root, sweep, files):
    tables = core.frequencies_hz
    before = files(board_root)
    core.set_plan(lease, sweep(tables))
    core.step(lease, 0, 1)
    core.set_plan(lease, sweep({'gpu': tables['gpu']}))
    core.step(lease, 0, 1)
    changed = {name for name, text in files(board_root).items() if before[name] != text}
    assert changed
    assert all('devfreq' in name for name in changed)


def test_state_is_shown(core, lease, page, sweep):
    core.set_plan(lease, sweep(core.frequencies_hz))
    assert page.words[1] == DaemonState.ACTIVE
    core.step(lease, 0, 0)
    core.rest(lease)
    assert page.words[1] == DaemonState.RESTING
    core.end(lease)
    assert page.words[1] == DaemonState.IDLE
