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

"""Whatever a client or a machine does wrong: a clear error, and no half-applied operating point."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient
from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.access import SocketPathError
from e4_ros.energy.daemon.core import ClocksLost, DaemonCore
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.daemon.lease import Lease, Peer
from e4_ros.energy.daemon.undo_log import UndoLog, UndoLogError
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.virtual.board import write_tree
from e4_ros.energy.virtual.mount import mounted


def point_of(root: Path) -> dict[str, int]:
    return {domain.name: domain.current_hz() for domain in discover(root)}


def state_of(root: Path) -> list[dict[str, str]]:
    return [domain.snapshot() for domain in discover(root)]


@contextlib.contextmanager
def lease_below_a_fault(root: Path, folder: Path, fault: str) -> Iterator[DvfsClient]:
    config = DaemonConfig(root=root, state_dir=folder / 's', socket_path=folder / 'h')
    fail(root, fault)
    with Daemon(config), DvfsClient(config.socket_path) as client:
        client.acquire('test')
        yield client


def fail(root: Path, *faults: str) -> None:
    (root / 'e4/faults').write_text('\n'.join(faults) + '\n')


# --- what a client asks for ---


@pytest.fixture
def holder(daemon, config, sweep) -> Iterator[DvfsClient]:
    """A client at segment 1 of a plan."""
    with DvfsClient(config.socket_path) as client:
        client.acquire('holder')
        client.set_plan(sweep(client.frequencies_hz))
        assert client.step(0, 1)
        deadline = time.monotonic() + 60
        while client.counters().applied == 0:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        yield client


@pytest.mark.parametrize(
    ('corrupt', 'says'),
    [
        ({'tables': {'dla': (1, 2)}}, 'unknown domain dla'),
        ({'tables': {'cpu': (1,)}}, 'no frequency 1 Hz'),
        ({'tables': {'cpu': (729_600_000,)}, 'board': 'jetson_tx2'}, "made for board 'jetson_tx2'"),
    ],
    ids=['domain', 'frequency', 'board'],
)
def test_wrong_plan_leaves_point_plan_and_lease(corrupt, says, holder, board_root, sweep, daemon):
    before = point_of(board_root)
    with pytest.raises(DaemonError, match=says):
        holder.set_plan(sweep(**corrupt))
    assert point_of(board_root) == before == daemon.server.leases[0].plan.point('full', 1)
    assert [lease['plan'] for lease in holder.status()['leases']] == ['sweep']
    assert holder.step(0, 2)


def test_a_plan_that_is_wrong_in_its_last_point_sets_not_even_the_first(holder, board_root, sweep):
    before = state_of(board_root)
    tables = {name: table[:4] for name, table in holder.frequencies_hz.items()}
    plan = sweep(tables).model_dump(mode='json')
    plan['paths']['full']['points'][3]['gpu'] = 1
    with pytest.raises(DaemonError, match='no frequency 1 Hz'):
        holder._ask(b'\x03' + json.dumps(plan).encode())
    assert state_of(board_root) == before


def test_lease_that_is_not_held_changes_nothing(daemon, config, board_root, sweep):
    before = state_of(board_root)
    plan = sweep(daemon.core.frequencies_hz)
    with DvfsClient(config.socket_path) as holder:
        holder.acquire('holder', exclusive=True)
        stranger = DvfsClient(config.socket_path)
        with pytest.raises(DaemonError, match=r'holder .* needs the clocks alone'):
            stranger.acquire('another')
        with pytest.raises(DaemonError, match='acquire the lease first'):
            stranger.set_plan(plan)
    assert state_of(board_root) == before


# --- what a daemon finds when it starts ---


@pytest.mark.parametrize('kind', ['live', 'file', 'folder'])
def test_daemon_without_a_socket_touches_nothing_and_leaves_no_lock(
    kind, config, board_root, short_dir, sweep
):
    before = state_of(board_root)
    path = config.socket_path
    if kind == 'live':
        tx2 = write_tree('jetson_tx2', short_dir / 'tx2')
        other = DaemonConfig(root=tx2, state_dir=short_dir / 'other', socket_path=path)
        with Daemon(other), pytest.raises(SocketPathError, match='a daemon is running'):
            Daemon(config)
    else:
        path.write_text('mine') if kind == 'file' else path.mkdir()
        with pytest.raises(SocketPathError, match='not a socket'):
            Daemon(config)
        assert path.exists()
        path.unlink() if kind == 'file' else path.rmdir()
    assert state_of(board_root) == before
    with Daemon(config), DvfsClient(path) as client:
        client.acquire('after all')


@pytest.mark.parametrize('damage', ['truncated', 'altered', 'of another board'])
def test_daemon_with_a_bad_undo_log_applies_nothing_of_it(damage, config, board_root, sweep):
    with Daemon(config) as daemon:
        daemon.core.begin(lease := Lease('test', Peer(1, 2, 3)))
        daemon.core.set_plan(lease, sweep(daemon.core.frequencies_hz))
        path = config.state_dir / 'undo_log.json'
        whole = path.read_text()
    held = state_of(board_root)
    if damage == 'of another board':
        path.write_text(whole)
        config = config.model_copy(update={'board': 'jetson_nano'})
        says = "holds the saved state of board 'jetson_orin_nano'"
    else:
        spoilt = whole[:-20] if damage == 'truncated' else whole.replace('schedutil', 'powersave')
        path.write_text(spoilt)
        says = 'not a whole undo log'
    kept = path.read_text()
    with pytest.raises(UndoLogError, match=says):
        Daemon(config)
    assert state_of(board_root) == held
    assert path.read_text() == kept


# --- what the kernel refuses in the middle of a step ---


@pytest.fixture(scope='module', params=['old', 'new'])
def orin_mount(request, tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp('orin') / 'root'
    with mounted('jetson_orin_nano', folder, request.param) as root:
        yield root


@pytest.fixture
def stepped(orin_mount, sweep) -> Iterator[tuple[DaemonCore, Path, list[dict[str, str]]]]:
    """A core that has gone 0, 1, 0 in CPU and GPU, so that the bare way to 1 is known."""
    before, page = state_of(orin_mount), PageWriter()
    with tempfile.TemporaryDirectory() as name:
        core = DaemonCore('jetson_orin_nano', orin_mount, discover(orin_mount), UndoLog(name), page)
        tables = {name: core.frequencies_hz[name] for name in ('cpu', 'gpu')}
        core.begin(lease := Lease('test', Peer(1, 2, 3)))
        core.set_plan(lease, sweep(tables))
        for segment in (0, 1, 0):
            core.step(lease, 0, segment)
        yield core, lease, orin_mount, before
        fail(orin_mount)
        core.end(lease)
        assert core.recover() == []
    assert state_of(orin_mount) == before
    page.close()


def pinned(root: Path) -> tuple[str, str, str]:
    """What CPU and GPU are asked for."""
    policy, gpu = root / 'sys/devices/system/cpu/cpufreq', root / 'sys/class/devfreq/17000000.gpu'
    files = (policy / 'policy0/scaling_setspeed', gpu / 'min_freq', gpu / 'max_freq')
    return tuple(file.read_text().strip() for file in files)


@pytest.mark.fuse
@pytest.mark.parametrize('kind', ['ebusy', 'eio', 'eacces'])
def test_step_that_is_refused_half_way_leaves_the_point_before(kind, stepped):
    core, lease, root, _ = stepped
    before = pinned(root)
    fail(root, f'{kind}:*17000000.gpu/m*_freq')
    core.step(lease, 0, 1)  # the CPU has been written by then
    assert pinned(root) == before
    assert core.applied_hz().items() >= lease.plan.point('full', 0).items()
    fail(root)
    core.step(lease, 0, 1)
    assert core.applied_hz().items() >= lease.plan.point('full', 1).items()


@pytest.mark.fuse
@pytest.mark.parametrize('kind', ['ebusy', 'eio', 'eacces'])
def test_step_that_cannot_be_rolled_back_restores_everything(kind, stepped):
    core, lease, root, saved = stepped
    fail(root, f'{kind}:*/policy4/scaling_setspeed')  # policy0 has been written by then
    with pytest.raises(ClocksLost):
        core.step(lease, 0, 1)
    assert lease.plan is None
    assert state_of(root) == saved


@pytest.mark.fuse
def test_value_that_does_not_stick_is_shown_as_it_is(stepped):
    core, lease, root, _ = stepped
    fail(root, 'stuck:*17000000.gpu/m*_freq')
    core.step(lease, 0, 1)
    assert core.applied_hz()['gpu'] == lease.plan.point('full', 0)['gpu']
    assert core.applied_hz()['cpu'] == lease.plan.point('full', 1)['cpu']


@pytest.mark.fuse
def test_device_that_goes_away_in_a_step_ends_the_plan_and_restores(stepped):
    core, lease, root, saved = stepped
    fail(root, 'gone:*17000000.gpu/*')
    with pytest.raises(ClocksLost, match='disappeared'):
        core.step(lease, 0, 1)
    assert lease.plan is None
    there = [domain.snapshot() for domain in discover(root)]
    assert len(there) == len(saved) - 1
    assert all(snapshot in saved for snapshot in there)
    # A device that comes again is a new one on a real machine; here it is as it was left.
    fail(root)
    for domain, snapshot in zip(discover(root), saved, strict=True):
        assert domain.restore(snapshot) == []


@pytest.mark.fuse
@pytest.mark.parametrize('file', ['*17000000.gpu/m*_freq', '*/scaling_setspeed'])
def test_file_that_takes_no_writes_ends_the_lease_and_says_what_to_do(
    file, orin_mount, sweep, short_dir
):
    before = state_of(orin_mount)
    with lease_below_a_fault(orin_mount, short_dir, f'eacces:{file}') as client:
        client.set_plan(sweep(client.frequencies_hz))
        deadline = time.monotonic() + 60
        while client.step(0, 1):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.state is ClientState.LOST
        assert 'install the udev rules' in client.lost_because
    fail(orin_mount)
    assert state_of(orin_mount) == before


@pytest.mark.fuse
@pytest.mark.parametrize('file', ['*/scaling_governor', '*/emc/mrq_rate_locked'])
def test_file_that_cannot_be_taken_refuses_the_plan_and_keeps_the_lease(
    file, orin_mount, sweep, short_dir
):
    before = state_of(orin_mount)
    with lease_below_a_fault(orin_mount, short_dir, f'eacces:{file}') as client:
        with pytest.raises(DaemonError, match='install the udev rules'):
            client.set_plan(sweep(client.frequencies_hz))
        assert not client.step(0, 1)
        assert state_of(orin_mount) == before
        fail(orin_mount)
        client.set_plan(sweep(client.frequencies_hz))
        assert client.step(0, 1)
    assert state_of(orin_mount) == before
