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

"""The files that let the daemon run without root: what they open, and that it is enough."""

from __future__ import annotations

import ast
import contextlib
import ctypes
import multiprocessing
import os
import re
import resource
import shutil
import stat
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from e4_ros.benchmarks.boards import listing, tree
from e4_ros.benchmarks.dvfs.bench_plans import alternating_plan
from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.daemon.realtime import setup_realtime
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.virtual.board import write_tree
from e4_ros.energy.virtual.mount import mounted
from e4_ros.paths import config_dir

GID, UID = 54321, 54322
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38


@pytest.fixture
def root():
    with tempfile.TemporaryDirectory(prefix='e4') as name:
        folder = Path(name)
        folder.chmod(0o755)
        tree = write_tree('jetson_orin_nano', folder / 'root')
        (tree / 'sys/kernel/debug').chmod(0o700)
        yield tree


def grant(root: Path, **environment: str) -> None:
    script = config_dir() / 'udev' / 'grant-clocks'
    given = {'E4_ROOT': str(root), 'E4_GROUP': str(GID), **environment}
    done = subprocess.run(
        [script], env={**os.environ, **given}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ''


def opened(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob('*')
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & stat.S_IWGRP
    }


@pytest.mark.other_user
def test_exactly_the_files_of_the_domains_are_opened(root):
    grant(root)
    wanted = {
        (root / name).resolve().relative_to(root.resolve()).as_posix()
        for domain in discover(root)
        for name in domain.snapshot()
    }
    assert wanted <= opened(root)
    names = {Path(name).name for name in opened(root)}
    pins = {'scaling_governor', 'scaling_min_freq', 'scaling_max_freq', 'scaling_setspeed'}
    assert names <= pins | {'min_freq', 'max_freq', 'rate', 'mrq_rate_locked'}
    assert not any(path.stat().st_mode & stat.S_IWOTH for path in root.rglob('*') if path.is_file())


@pytest.mark.other_user
@pytest.mark.parametrize('name', ['nano_jp4_maxn', 'thor_jp72_maxn', 'rk3588_vendor'])
def test_the_memory_of_listed_machines_is_opened_too(name, tmp_path):
    tree.write(listing.load(name), tmp_path)
    grant(tmp_path)
    (memory,) = (domain for domain in discover(tmp_path) if domain.name == 'emc')
    modes = [(tmp_path / path).stat().st_mode for path in memory.snapshot()]
    assert len(modes) == 2
    assert all(mode & stat.S_IWGRP for mode in modes)


@pytest.mark.other_user
def test_memory_that_firmware_lets_nobody_set_stays_read_only(tmp_path):
    tree.write(listing.load('thor_jp72_maxn'), tmp_path)
    for file in ('min_freq', 'max_freq'):
        (tmp_path / 'sys/class/devfreq/bwmgr' / file).chmod(0o444)
    grant(tmp_path)
    assert 'emc' not in {domain.name for domain in discover(tmp_path)}


@pytest.mark.other_user
@pytest.mark.parametrize('place', ['environment', 'file'])
def test_debugfs_may_stay_closed(root, place):
    if place == 'file':  # udev gives a script no environment
        (root / 'etc/default').mkdir(parents=True)
        (root / 'etc/default/e4').write_text('E4_EMC=no\n')
    grant(root, **({'E4_EMC': 'no'} if place == 'environment' else {}))
    assert not any('debug' in name for name in opened(root))
    assert stat.S_IMODE((root / 'sys/kernel/debug').stat().st_mode) == 0o700


@pytest.fixture
def fuse_root():
    with tempfile.TemporaryDirectory(prefix='e4') as name:
        folder = Path(name)
        folder.chmod(0o755)
        with mounted('jetson_orin_nano', folder / 'root') as tree:
            yield tree


def become_the_units_user() -> None:
    """What the unit leaves of root: a user, a group, two limits, no capability."""
    unlimited = resource.RLIM_INFINITY
    for limit, value in ((resource.RLIMIT_RTPRIO, 10), (resource.RLIMIT_MEMLOCK, unlimited)):
        # Not every container's root may raise them; then the daemon has to do without.
        with contextlib.suppress(ValueError):
            resource.setrlimit(limit, (value, value))
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setgid(GID)
    os.setuid(UID)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def may_set_fifo_priority() -> bool:
    """Whether the kernel grants what the limit promises; not every container's does."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def serve(config: DaemonConfig, said: Connection) -> None:
    """Become that user, then serve; everything is imported by then, because that user may not."""
    become_the_units_user()
    hurries = may_set_fifo_priority()
    setup_realtime()
    try:
        with Daemon(config):
            said.send(hurries)
            time.sleep(300)
    except BaseException as error:
        said.send(repr(error))


@contextlib.contextmanager
def daemon_of_another_user(config: DaemonConfig):
    """A process of its own: one forked from the tests would inherit their memory and locks."""
    fresh = multiprocessing.get_context('spawn')
    hearing, said = fresh.Pipe(duplex=False)
    process = fresh.Process(target=serve, args=(config, said), daemon=True)
    process.start()
    said.close()
    try:
        assert hearing.poll(120), 'it says nothing'
        hurries = hearing.recv()
        assert isinstance(hurries, bool), hurries
        yield process.pid, hurries
    finally:
        process.kill()
        process.join()


def status_of(process: int) -> dict[str, str]:
    lines = Path(f'/proc/{process}/status').read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(':') for line in lines)}


@pytest.mark.other_user
@pytest.mark.parametrize(
    'tree', ['root', pytest.param('fuse_root', marks=pytest.mark.fuse)], ids=['plain', 'fuse']
)
def test_daemon_runs_without_root(tree, request):
    root = request.getfixturevalue(tree)
    grant(root)
    state = root.parent / 'state'
    state.mkdir(mode=0o750)
    os.chown(state, UID, GID)
    config = DaemonConfig(root=root, state_dir=state, socket_path=state / 's')
    before = {d.name: d.snapshot() for d in discover(root)}
    with daemon_of_another_user(config) as (process, hurries):
        with DvfsClient(config.socket_path) as client:
            client.acquire('test')
            client.set_plan(alternating_plan(client.board, client.frequencies_hz))
            assert client.frequencies_hz == {d.name: d.allowed_hz for d in discover(root)}
            assert client.domains == ('cpu', 'gpu', 'emc')
            assert client.step(0, 0)
            deadline = time.monotonic() + 60
            while client.counters().applied == 0 and time.monotonic() < deadline:
                time.sleep(0.001)
            assert client.counters() == (1, 0, 0)
            assert {d.name: d.snapshot() for d in discover(root)} != before

            status = status_of(process)
            assert (status['CapEff'].strip('0'), status['CapBnd'].strip('0')) == ('', '')
            assert (status['NoNewPrivs'], status['Uid'].split()[0]) == ('1', str(UID))
            threads = [int(task.name) for task in Path(f'/proc/{process}/task').iterdir()]
            priorities = sorted(os.sched_getparam(thread).sched_priority for thread in threads)
            assert priorities[-2:] == ([1, 10] if hurries else [0, 0])
            limits = Path(f'/proc/{process}/limits').read_text()
            unlimited = re.search(r'Max locked memory +unlimited ', limits) is not None
            assert (int(status['VmLck'].split()[0]) > 0) == unlimited
        assert {d.name: d.snapshot() for d in discover(root)} == before


@pytest.mark.skipif(shutil.which('systemd-analyze') is None, reason='no systemd-analyze here')
def test_unit_is_accepted():
    unit = config_dir() / 'systemd' / 'e4-dvfs-helper.service'
    done = subprocess.run(
        ['systemd-analyze', 'verify', unit], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert all('grant-clocks is not executable' in line for line in complaints), complaints


SOURCES = {
    'dvfs_helper': ['dvfs_helper'],
    'perception': ['perception', 'outputs', 'clock_steps', 'daemon_link'],
    'obstacles': ['obstacle_inputs', 'obstacle_outputs', 'transform_listener'],
    'profiler': ['profiler'],
}


def profile_of(node: str) -> ElementTree.Element:
    policy = ElementTree.parse(config_dir() / 'sros2' / 'policies.xml').getroot()
    profile = policy.find(f".//profile[@node='{node}']")
    assert profile is not None
    return profile


def source_of(name: str) -> str:
    return (Path(__file__).parents[2] / 'e4_ros' / 'nodes' / f'{name}.py').read_text()


@pytest.mark.parametrize('node', SOURCES)
def test_policies_name_what_a_node_serves(node):
    profile = profile_of(node)
    allowed = {
        element.text for kind in ('topic', 'service', 'action') for element in profile.iter(kind)
    }
    served = {
        name for file in SOURCES[node] for name in re.findall(r"'(~/[a-z_0-9/]+)'", source_of(file))
    }
    assert served
    assert served <= allowed


def used(node: str, method: str) -> set[str]:
    """The names that a node gives to `create_subscription` or `create_client`."""
    names = set()
    for file in SOURCES[node]:
        for call in ast.walk(ast.parse(source_of(file))):
            if isinstance(call, ast.Call) and getattr(call.func, 'attr', '') == method:
                names |= set(re.findall(r"'([^']+)'", ast.unparse(call.args[1])))
    others = {'{daemon}': 'dvfs_helper', '{other}': 'perception'}
    return {re.sub(r'\{\w+\}', lambda found: others[found[0]], name) for name in names}


@pytest.mark.parametrize('node', ['perception', 'profiler'])
@pytest.mark.parametrize(
    ('method', 'kind', 'right'),
    [('create_subscription', 'topic', 'subscribe'), ('create_client', 'service', 'request')],
)
def test_policies_name_what_a_node_asks_of_others(node, method, kind, right):
    profile = profile_of(node)
    groups = [group for group in profile.iter(f'{kind}s') if group.get(right) == 'ALLOW']
    asked = used(node, method)
    assert asked
    assert asked <= {element.text for group in groups for element in group}
