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

"""CPUs that go offline while a lease holds the clocks, and power modes as nvpmodel sets them."""

from __future__ import annotations

import time

import pytest

from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.lease import Lease, Peer
from e4_ros.energy.daemon.recovery import recover
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.virtual.mount import mounted

pytestmark = pytest.mark.fuse

BOARD = 'jetson_orin_nano'
THROTTLES_C = 101
CLUSTERS = (0, 1, 2, 3), (4, 5)


@pytest.fixture(scope='module', params=['old', 'new'])
def mount(request, tmp_path_factory):
    with mounted(BOARD, tmp_path_factory.mktemp('orin') / 'root', request.param) as root:
        yield root


@pytest.fixture
def root(mount):
    """The board as it was at its start; a test must leave it so, but for CPUs and power mode."""
    yield mount
    (mount / 'e4/power_mode').write_text('MAXN_SUPER\n')
    (mount / 'e4/power_mode').write_text('25W\n')
    for cpus in CLUSTERS:
        Cluster(mount, cpus).on()


@pytest.fixture
def undo_log(short_dir):
    return UndoLog(short_dir / 'state')


@pytest.fixture
def core(root, undo_log):
    page = PageWriter()
    yield DaemonCore(BOARD, root, discover(root), undo_log, page)
    page.close()


@pytest.fixture
def begin(core, sweep):
    """Begin a lease, pinned to the second point of its plan."""
    leases = []

    def begin():
        lease = Lease('test', Peer(0, 0, 0))
        core.begin(lease)
        core.set_plan(lease, sweep(core.frequencies_hz))
        core.step(lease, 0, 1)
        leases.append(lease)
        return lease

    yield begin
    for lease in leases:
        if lease.plan is not None:
            core.end(lease)


class Cluster:
    """A cluster of the board, the second unless told otherwise."""

    def __init__(self, root, cpus=(4, 5)):
        self._root, self._cpus = root, cpus
        self.name = f'policy{cpus[0]}'

    def _switch(self, text):
        for cpu in self._cpus:
            (self._root / f'sys/devices/system/cpu/cpu{cpu}/online').write_text(text)

    def off(self):
        self._switch('0\n')

    def on(self):
        self._switch('1\n')

    def read(self, name):
        path = self._root / 'sys/devices/system/cpu/cpufreq' / self.name / name
        return path.read_text().strip()


@pytest.fixture
def cluster(root):
    return Cluster(root)


@pytest.fixture
def first(root):
    return Cluster(root, CLUSTERS[0])


def test_a_cluster_that_goes_offline_and_comes_back_in_a_lease_changes_nothing_else(
    core, begin, cluster
):
    before = cluster.read('scaling_governor')
    lease = begin()
    cluster.off()
    for segment in (0, 3, 1):
        core.step(lease, 0, segment)
        assert core.applied_hz() == lease.plan.point('full', segment)
    core.follow()
    assert core.problems == []
    cluster.on()
    core.follow()
    core.step(lease, 0, 2)
    assert int(cluster.read('scaling_setspeed')) * 1000 == lease.plan.point('full', 2)['cpu']
    assert core.end(lease) == []
    assert cluster.read('scaling_governor') == before


def test_what_is_offline_at_the_end_waits_and_new_leases_are_given(core, begin, cluster, undo_log):
    before = cluster.read('scaling_governor')
    lease = begin()
    cluster.off()
    assert core.end(lease) == []
    assert (core.refusal(), core.waits_for_cpus) == ('', True)
    (kept,) = undo_log.read().entries
    assert {name.split('/')[-2] for name in kept.snapshot} == {cluster.name}
    assert core.end(begin()) == []
    assert cluster.name in str(undo_log.read())
    cluster.on()
    assert cluster.read('scaling_governor') == 'userspace'
    assert core.recover() == []
    assert cluster.read('scaling_governor') == before
    assert undo_log.read() is None


def test_a_cluster_that_is_back_in_the_next_lease_gets_what_it_had_before_the_first(
    core, begin, cluster, undo_log
):
    before = cluster.read('scaling_governor')
    lease = begin()
    cluster.off()
    core.end(lease)
    lease = begin()
    cluster.on()
    core.follow()
    assert int(cluster.read('scaling_setspeed')) * 1000 == lease.plan.point('full', 1)['cpu']
    assert core.end(lease) == []
    assert cluster.read('scaling_governor') == before
    assert undo_log.read() is None


def test_a_cluster_that_is_back_while_all_leases_rest_is_restored(core, begin, cluster):
    before = cluster.read('scaling_governor')
    lease = begin()
    cluster.off()
    core.rest(lease)
    cluster.on()
    core.follow()
    assert cluster.read('scaling_governor') == before


def test_a_cluster_that_is_back_between_saving_and_opening_is_not_pinned_before_it_is_saved(
    core, begin, cluster, monkeypatch
):
    before = cluster.read('scaling_governor')
    cluster.off()
    cpu = core.domains['cpu']
    opened = cpu.open

    def back_then_open():
        cluster.on()
        opened()

    monkeypatch.setattr(cpu, 'open', back_then_open)
    lease = begin()
    core.follow()
    core.step(lease, 0, 2)
    assert int(cluster.read('scaling_setspeed')) * 1000 == lease.plan.point('full', 2)['cpu']
    assert core.end(lease) == []
    assert cluster.read('scaling_governor') == before


def test_a_cluster_that_is_back_while_the_other_leaves_in_the_midst_of_a_restore_is_not_forgotten(
    core, begin, cluster, first, undo_log, monkeypatch
):
    before = [one.read('scaling_governor') for one in (first, cluster)]
    lease = begin()
    cluster.off()
    cpu = core.domains['cpu']
    restore = cpu.restore

    swapped = []

    def swap_then_restore(snapshot):
        monkeypatch.undo()
        cluster.on()
        first.off()
        swapped.append(cluster.read('scaling_governor'))
        return restore(snapshot)

    monkeypatch.setattr(cpu, 'restore', swap_then_restore)
    assert core.end(lease) == []
    assert swapped == ['userspace']
    first.on()
    core.recover()
    assert [one.read('scaling_governor') for one in (first, cluster)] == before
    assert undo_log.read() is None


def test_what_waits_in_two_entries_of_one_domain_is_all_kept(core, begin, cluster, undo_log):
    before = cluster.read('scaling_governor')
    lease = begin()
    cluster.off()
    core.end(lease)
    record = undo_log.read()
    (entry,) = record.entries
    parts = [entry._replace(snapshot=dict([item])) for item in entry.snapshot.items()]
    undo_log.write(record._replace(entries=tuple(parts)))
    assert core.recover() == []
    lease = begin()
    cluster.on()
    core.follow()
    assert core.end(lease) == []
    assert cluster.read('scaling_governor') == before
    assert undo_log.read() is None


def test_what_was_restored_without_a_lease_is_not_restored_once_more(
    core, begin, cluster, undo_log
):
    lease = begin()
    cluster.off()
    core.end(lease)
    cluster.on()
    core.follow()
    assert undo_log.read() is None


def test_recovery_leaves_what_is_offline_in_the_undo_log(core, begin, root, cluster, undo_log):
    before = cluster.read('scaling_governor')
    lease = begin()
    record = undo_log.read()
    cluster.off()
    core.end(lease)
    undo_log.write(record)  # as if the daemon had been killed in the lease
    assert recover(undo_log, BOARD, root) == []
    (kept,) = undo_log.read().entries
    assert {name.split('/')[-2] for name in kept.snapshot} == {cluster.name}
    cluster.on()
    assert recover(undo_log, BOARD, root) == []
    assert undo_log.read() is None
    assert cluster.read('scaling_governor') == before


@pytest.mark.parametrize('segment', [0, 1, 3])
@pytest.mark.parametrize('how', ['follow', 'step', 'end'])
def test_a_lower_power_mode_binds_at_once_and_stays(core, begin, root, how, segment):
    lease = begin()
    core.step(lease, 0, segment)
    (root / 'e4/power_mode').write_text('15W\n')
    time.sleep(0.002)
    if how == 'follow':
        core.follow()
        assert core.frequencies_hz['gpu'][-1] == 612_000_000
    if how != 'end':
        core.step(lease, 0, 2)
    assert core.end(lease) == []
    time.sleep(0.002)
    assert limits(root) == {'cpu': 1497_600_000, 'gpu': 612_000_000, 'emc': 2133_000_000}


def test_a_higher_power_mode_may_be_used_at_once_and_stays(core, begin, root):
    lease = begin()
    (root / 'e4/power_mode').write_text('MAXN_SUPER\n')
    time.sleep(0.002)
    core.follow()
    assert core.frequencies_hz['gpu'][-1] == 1020_000_000
    core.end(lease)
    time.sleep(0.002)
    assert limits(root) == {'cpu': 1728_000_000, 'gpu': 1020_000_000, 'emc': 3199_000_000}


@pytest.fixture
def heat(root):
    """Let the board's heat be set, in °C."""
    yield lambda celsius: (root / 'e4/temperature_c').write_text(f'{celsius}\n')
    (root / 'e4/temperature_c').write_text('40\n')


def test_what_is_restored_under_heat_shows_when_it_is_gone_and_stays_what_is_restored(
    core, begin, root, heat, undo_log
):
    before = limits(root)
    lease = begin()
    heat(THROTTLES_C)
    core.follow()
    assert (core.end(lease), core.refusal()) == ([], '')
    time.sleep(0.002)
    assert limits(root) != before
    assert core.end(begin()) == []  # of the second lease, too, the cap is not the original
    heat(40)
    time.sleep(0.002)
    assert limits(root) == before
    assert undo_log.read() is None


def limits(root):
    return {domain.name: domain.limits_hz[1] for domain in discover(root)}
