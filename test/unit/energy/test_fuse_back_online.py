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

"""CPUs that are back while another lease than theirs begins or runs: at any moment of it.

A board whose pins are limits: what an earlier lease left there looks like somebody's new limit.
"""

from __future__ import annotations

import pytest

from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.lease import Lease, Peer
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.virtual.mount import mounted

pytestmark = pytest.mark.fuse

BOARD = 'pc_amd_pstate'
CPUS = 'sys/devices/system/cpu'


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    with mounted(BOARD, tmp_path_factory.mktemp('pc') / 'root', 'new') as root:
        yield root


@pytest.fixture
def core(root, short_dir):
    page = PageWriter()
    yield DaemonCore(BOARD, root, discover(root), UndoLog(short_dir / 'state'), page)
    page.close()


@pytest.fixture
def switch(root):
    """Switch the last cluster's CPUs."""
    folder = sorted((root / CPUS / 'cpufreq').glob('policy*'))[-1]
    cpus = (folder / 'related_cpus').read_text().split()

    def switch(on):
        for cpu in cpus:
            (root / f'{CPUS}/cpu{cpu}/online').write_text(f'{int(on)}\n')

    yield switch
    switch(on=True)


def limits(root):
    files = sorted((root / CPUS / 'cpufreq').glob('policy*/scaling_m??_freq'))
    return {str(file): file.read_text() for file in files}


def begun(core, sweep):
    lease = Lease('test', Peer(0, 0, 0))
    core.begin(lease)
    core.set_plan(lease, sweep(core.frequencies_hz, BOARD))
    return lease


@pytest.fixture
def left(core, root, sweep, switch):
    """Limits before; a lease has pinned the cluster, which was offline when it ended."""
    before = limits(root)
    lease = begun(core, sweep)
    core.step(lease, 0, 2)
    switch(on=False)
    core.end(lease)
    return before


@pytest.mark.parametrize('steps', [False, True])
def test_back_before_or_after_the_next_leases_first_step(core, root, sweep, switch, left, steps):
    lease = begun(core, sweep)
    if steps:
        core.step(lease, 0, 1)
    switch(on=True)
    for _ in range(3):
        core.follow()
    assert core.end(lease) == []
    assert limits(root) == left


def test_back_just_before_the_next_lease_saves_the_state(
    core, root, sweep, switch, left, monkeypatch
):
    outside = core._ownership._outside
    snapshot = outside.snapshot

    def late(domain):
        switch(on=True)
        return snapshot(domain)

    monkeypatch.setattr(outside, 'snapshot', late)
    lease = begun(core, sweep)
    monkeypatch.undo()
    core.follow()
    core.step(lease, 0, 1)
    core.follow()
    assert core.end(lease) == []
    assert limits(root) == left


def test_back_in_the_middle_of_a_look(core, root, sweep, switch, left, monkeypatch):
    lease = begun(core, sweep)
    outside = core._ownership._outside
    taken_over = outside.taken_over

    def late(domain, saved):
        switch(on=True)
        return taken_over(domain, saved)

    monkeypatch.setattr(outside, 'taken_over', late)
    core.follow()
    monkeypatch.undo()
    assert core.end(lease) == []
    assert limits(root) == left
