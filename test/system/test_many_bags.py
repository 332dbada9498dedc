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

"""`e4 run` with several sources, on processes and on a Ray cluster of two cores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from e4_ros import extras
from e4_ros.commands.app import app
from e4_ros.evaluation.job import JobOptions
from e4_ros.evaluation.sources import open_source
from e4_ros.evaluation.spread.bag_task import Bag
from e4_ros.evaluation.spread.many import run_bags
from e4_ros.evaluation.spread.ray_workers import RayWorkers
from e4_ros.evaluation.spread.schedule import run_tasks
from e4_ros.evaluation.spread.workers import Task, WorkersGoneError

FEW = ['--controller', 'full', '--no-baseline', '--board', 'none', '--threads', '1']
needs_ray = pytest.mark.skipif(
    not all(map(extras.find_spec, extras.EXTRAS['cluster'])), reason='the extra `cluster` is absent'
)


def run(*arguments: object):
    return CliRunner().invoke(app, ['run', *map(str, arguments)], env={'COLUMNS': '300'})


@pytest.fixture(scope='module')
def footage(tmp_path_factory):
    """Two folders of pictures, 3 and 5, with noise in them; and a file that is no video."""
    parent = tmp_path_factory.mktemp('footage')
    rng = np.random.default_rng(0)
    for name, count in (('short', 3), ('long', 5)):
        (parent / name).mkdir()
        for index in range(count):
            picture = rng.integers(0, 255, (120, 160, 3), np.uint8)
            assert cv2.imwrite(str(parent / name / f'{index}.png'), picture)
    (parent / 'long' / '9.png').write_bytes(b'torn')
    (parent / 'broken.mp4').write_bytes(b'no video')
    return parent


def summary(out: Path) -> dict:
    return json.loads((out / 'summary.json').read_text())


def answers(out: Path, name: str) -> list[tuple]:
    lines = (out / name / 'detections.jsonl').read_text().splitlines()
    return [(row['frame'], row['stamp'], row['detections']) for row in map(json.loads, lines)]


@pytest.fixture(scope='module')
def spread(footage, tmp_path_factory):
    out = tmp_path_factory.mktemp('here')
    sources = [footage / 'short', footage / 'broken.mp4', footage / 'long']
    return out, run(*sources, *FEW, '--workers', 2, '--out', out)


def test_bags_are_merged_and_a_broken_one_fails_alone(spread):
    out, result = spread
    assert result.exit_code == 1
    assert '1 of 3 sources failed: broken.mp4' in result.stderr
    found = summary(out)
    assert [(bag['name'], bag['status']) for bag in found['bags']] == [
        ('short', 'done'), ('broken', 'failed'), ('long', 'done'),
    ]  # fmt: skip
    assert (found['frames_received'], found['frames_dropped']) == (9, 1)
    assert found['frames_received'] == found['frames_processed'] + found['frames_dropped']
    assert {path.name for path in out.iterdir()} == {'short', 'long', 'summary.json', 'report.html'}
    assert {path.name for path in (out / 'short').iterdir()} == {
        'summary.json', 'detections.jsonl', 'annotated.mp4', 'report.html', 'made_from.json',
    }  # fmt: skip


def test_each_bag_says_what_it_says_alone(spread, footage, tmp_path):
    out, _ = spread
    result = run(footage / 'long', *FEW, '--out', tmp_path / 'long')
    assert result.exit_code == 0, result.output
    assert answers(tmp_path, 'long') == answers(out, 'long')
    alone, among = summary(tmp_path / 'long'), summary(out / 'long')
    for name in ('frames_received', 'frames_processed', 'frames_dropped', 'exits', 'source'):
        assert alone[name] == among[name]


def test_the_same_command_goes_on_with_the_rest(spread, footage):
    out, _ = spread
    before = (out / 'long' / 'summary.json').stat().st_mtime_ns
    sources = [footage / 'short', footage / 'long']
    again = run(*sources, *FEW, '--workers', 2, '--out', out)
    assert again.exit_code == 0, again.output
    assert '2 of 2 are complete from before' in again.stderr
    assert (out / 'long' / 'summary.json').stat().st_mtime_ns == before
    assert {bag['status'] for bag in summary(out)['bags']} == {'kept'}


@pytest.mark.parametrize(
    ('words', 'code', 'said'),
    [
        (['bikes', 'bikes'], 2, 'bikes is given more than once'),
        (['a', 'b', '--labels', 'gt.txt'], 2, 'labels are of one source'),
        (['a', 'b', '--ring', 'r'], 2, 'one process writes a ring'),
        (['a', 'b', '--ship'], 2, 'give --on ray'),
        (['a', '--on', 'moon'], 2, 'there is here and ray'),
        (['a', '--workers', '0'], 2, "'--workers'"),
    ],
)
def test_what_several_sources_cannot_have_is_refused(words, code, said, tmp_path):
    result = run(*words, *FEW, '--out', tmp_path / 'out')
    assert result.exit_code == code, result.output
    assert said in ' '.join(result.stderr.split())
    assert not (tmp_path / 'out').exists()


def test_without_ray_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(extras.EXTRAS, 'cluster', ('no_such_module',))
    result = run('bikes', '--on', 'ray', '--out', tmp_path / 'out')
    assert result.exit_code == 1
    assert 'needs the extra `cluster`' in result.stderr


def test_ctrl_c_keeps_what_is_done_and_leaves_nothing_else(footage, tmp_path):
    sources = [str(footage / 'short'), 'bikes']
    command = [sys.executable, '-m', 'e4_ros.cli', 'run', *sources, *FEW, '--out', str(tmp_path)]
    began = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 120
        while not (tmp_path / '.bikes.part').exists() and time.monotonic() < until:
            time.sleep(0.1)
        began.send_signal(signal.SIGINT)
        _, told = began.communicate(timeout=120)
    finally:
        began.kill()
    assert began.returncode == 130
    assert 'the same command goes on with the rest' in told
    statuses = {bag['name']: bag['status'] for bag in summary(tmp_path)['bags']}
    assert statuses['bikes'] == 'left'
    left = {path.name for path in tmp_path.iterdir()} - {'short'}
    assert left == {'summary.json', 'report.html'}


# On Ray: one cluster for all, in order; the last test ends it.


def count_to(say, number):
    for value in range(number):
        say(value)


def refuse(say):
    raise ValueError('it is no video')


def ships(say, path):
    say(sorted(str(file.relative_to(path)) for file in path.rglob('*')))
    say((path / 'a').read_bytes())


class Diary:
    def __init__(self):
        self.values: dict[str, list] = {}
        self.why: dict[str, str] = {}

    def begun(self, task):
        self.values[task] = []

    def said(self, task, value):
        self.values[task].append(value)

    def ended(self, task):
        self.why[task] = ''

    def failed(self, task, why):
        self.why[task] = why

    def lost(self, task, why):
        return True


@pytest.fixture(scope='module')
def cluster():
    pytest.importorskip('ray')
    with pytest.MonkeyPatch.context() as patch:
        # Workers find this module, and a second command the token of the cluster.
        patch.setenv('PYTHONPATH', str(Path(__file__).parent), prepend=os.pathsep)
        patch.setenv('RAY_AUTH_MODE', 'token')
        patch.setenv('RAY_AUTH_TOKEN', 'a' * 64)
        found = RayWorkers('local', 2)
        yield found
        found.close()


class Borrowed:
    """The cluster of these tests, which ends with them."""

    def __init__(self, workers):
        self.limit, self.begin, self.events = workers.limit, workers.begin, workers.events
        self.share = workers.share

    def close(self):
        pass


@needs_ray
def test_tasks_say_fail_and_are_shipped_files(cluster, tmp_path):
    (tmp_path / 'a').write_bytes(b'x' * (17 << 20))  # two pieces
    (tmp_path / 'empty').touch()
    diary = Diary()
    tasks = [
        Task('counts', count_to, (3,)),
        Task('refuses', refuse),
        Task('ships', ships, ship=tmp_path),
    ]
    run_tasks(tasks, cluster, diary)
    assert diary.values['counts'] == [0, 1, 2]
    assert diary.why == {'counts': '', 'refuses': 'it is no video', 'ships': ''}
    assert diary.values['ships'] == [['a', 'empty'], (tmp_path / 'a').read_bytes()]


@needs_ray
def test_a_worker_that_is_killed_loses_nothing(cluster, spread, footage, tmp_path):
    options = JobOptions(controller='full', baseline=False, threads=1)
    bags = [Bag(name, str(footage / name), options) for name in ('short', 'long')]
    killed, warned = [], []

    def kill_once(bag, progress):
        if bag == 'long' and not killed:
            killed.append(progress['done'])
            os.kill(progress['pid'], signal.SIGKILL)

    merged = run_bags(
        bags, tmp_path, lambda: Borrowed(cluster), '', watch=kill_once, warn=warned.append
    )
    assert killed
    assert [(row.name, row.status, row.workers_lost) for row in merged.bags] == [
        ('short', 'done', 0), ('long', 'done', 1),
    ]  # fmt: skip
    assert (merged.frames_received, merged.frames_processed, merged.frames_dropped) == (9, 8, 1)
    assert 'long is run again from its beginning: its worker process died' in warned
    for name in ('short', 'long'):
        assert answers(tmp_path, name) == answers(spread[0], name)


@needs_ray
def test_a_cluster_that_is_there_is_joined_and_a_missing_source_says_so(cluster, footage, tmp_path):
    words = ['--on', 'ray', '--address', cluster.address, *FEW, '--out', tmp_path]
    result = run(footage / 'short', footage / 'nosuch', *words)
    assert result.exit_code == 1
    assert 'put them on storage that all machines see' in ' '.join(result.stderr.split())
    assert summary(tmp_path)['workers'] == f'the Ray cluster at {cluster.address}, 1 machine'
    assert summary(tmp_path)['frames_processed'] == 3


@needs_ray
def test_the_client_port_is_no_address():
    with pytest.raises(ValueError, match='6379, not the client port'):
        RayWorkers('ray://somewhere:10001')


@needs_ray
def test_the_teacher_says_the_same_whoever_looked(cluster, people, tmp_path, monkeypatch):
    zoo = pytest.importorskip('e4_ros.vision.zoo')
    from e4_ros.evaluation.spread.looks import LookError, look_everywhere
    from e4_ros.vision.export.assemble import assemble
    from e4_ros.vision.teacher.offline_teacher import OfflineTeacher

    network = assemble(zoo.load_model('pedestrian_ssdlite'))
    clip = [(stamp, frame[::2, ::2].copy()) for stamp, frame in open_source(str(people))]
    there = OfflineTeacher(network, cache=tmp_path / 'there')
    bars = []

    def looked(clips) -> int:
        borrowed = lambda: Borrowed(cluster)  # noqa: E731
        return look_everywhere(there, network, clips, borrowed, lambda *bar: bars.append(bar))

    assert looked([clip[:4], clip[4:]]) == len(clip)
    assert bars[-1] == ('teacher, on workers', 6, 6)
    assert looked([clip]) == 0, 'all is known'
    for chain in there._chains.copies:
        monkeypatch.setattr(chain, 'see', None)  # nobody looks here any more
    here = OfflineTeacher(network, cache=tmp_path / 'here')
    for ours, theirs in zip(here.pseudo_label(clip), there.pseudo_label(clip), strict=True):
        assert len(ours)
        for name in ('boxes', 'scores', 'labels'):
            assert getattr(ours, name).tobytes() == getattr(theirs, name).tobytes()
    with pytest.raises(LookError, match='the teacher’s looks failed'):
        looked([[(0.0, np.zeros((0, 0, 3), np.uint8))]])


@needs_ray
def test_a_head_that_is_gone_ends_in_words_and_what_is_done_stays(cluster, footage, tmp_path):
    """The last one: it ends the cluster."""
    options = JobOptions(controller='full', baseline=False, threads=1)
    bags = [Bag('long', str(footage / 'long'), options), Bag('bikes', 'bikes', options)]
    relay = cluster._process.pid

    def end_it(bag, progress):
        if (tmp_path / 'long').exists() and bag == 'bikes':
            for pid in descendants(relay):
                if 'gcs_server' in Path(f'/proc/{pid}/cmdline').read_text():
                    os.kill(pid, signal.SIGKILL)

    with pytest.raises(WorkersGoneError) as told:
        run_bags(bags, tmp_path, lambda: Borrowed(cluster), '', watch=end_it)
    assert '1 of 2 sources are done and kept' in str(told.value)
    assert summary(tmp_path)['frames_processed'] == 5
    assert {path.name for path in tmp_path.iterdir()} == {'long', 'summary.json', 'report.html'}


def descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f'/proc/{pid}/task').iterdir():
        for child in map(int, (task / 'children').read_text().split()):
            found += [child, *descendants(child)]
    return found
