"""The files that let the helper run without root: what they open, and that it is enough."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from e4_ros.benchmarks.dvfs.bench_plans import alternating_plan
from e4_ros.energy.client import DvfsClient
from e4_ros.energy.daemon import Helper, HelperConfig
from e4_ros.energy.discovery import discover
from e4_ros.energy.virtual_board import write_tree
from e4_ros.paths import config_dir

GID, UID = 54321, 54322

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='needs root to become somebody else')


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


@needs_root
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


@needs_root
def test_debugfs_may_stay_closed(root):
    grant(root, E4_EMC='no')
    assert not any('debug' in name for name in opened(root))
    assert stat.S_IMODE((root / 'sys/kernel/debug').stat().st_mode) == 0o700


@needs_root
def test_helper_runs_without_root(root):
    grant(root)
    state = root.parent / 'state'
    state.mkdir(mode=0o750)
    os.chown(state, UID, GID)
    config = HelperConfig(root=root, state_dir=state, socket_path=state / 's')
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        # A fork, because the interpreter may lie where only its owner can start it.
        try:
            os.setgroups([])
            os.setgid(GID)
            os.setuid(UID)
            with Helper(config):
                os.write(writing, b'!')
                time.sleep(60)
        except BaseException as error:  # said to the parent
            os.write(writing, str(error).encode())
        os._exit(1)
    try:
        assert os.read(reading, 1000) == b'!'
        before = {d.name: d.snapshot() for d in discover(root)}
        with DvfsClient(config.socket_path) as client:
            client.acquire('test')
            client.set_plan(alternating_plan(client.board, client.frequencies_hz))
            assert client.domains == ('cpu', 'gpu', 'emc')
            assert client.step(0, 0)
            deadline = time.monotonic() + 10
            while client.counters().applied == 0 and time.monotonic() < deadline:
                time.sleep(0.001)
            assert client.counters() == (1, 0, 0)
            assert {d.name: d.snapshot() for d in discover(root)} != before
        assert {d.name: d.snapshot() for d in discover(root)} == before
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


@pytest.mark.skipif(shutil.which('systemd-analyze') is None, reason='no systemd-analyze here')
def test_unit_is_accepted():
    unit = config_dir() / 'systemd' / 'e4-dvfs-helper.service'
    done = subprocess.run(
        ['systemd-analyze', 'verify', unit], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert all('grant-clocks is not executable' in line for line in complaints), complaints


def test_policies_name_what_the_helper_serves():
    policy = ElementTree.parse(config_dir() / 'sros2' / 'policies.xml').getroot()
    profile = policy.find(".//profile[@node='dvfs_helper']")
    assert profile is not None
    source = Path(__file__).parents[2].joinpath('e4_ros/nodes/dvfs_helper.py').read_text()
    for kind in ('topic', 'service'):
        allowed = {element.text for element in profile.iter(kind)}
        served = {name for name in allowed if name and f"'{name}'" in source}
        assert (
            served
            == {
                'topic': {'~/state', '~/energy'},
                'service': {'~/acquire', '~/set_plan', '~/release'},
            }[kind]
        )
