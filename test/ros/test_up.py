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

"""`e4 up`: the nodes as processes, watched and stopped, and the whole demo."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest

from e4_ros.bringup.bringups import BRINGUPS
from e4_ros.bringup.node_specs import NodeSpec
from e4_ros.bringup.supervisor import NodeDied, Supervisor, private_environment
from e4_ros.commands.up import _demo_source, _watch
from e4_ros.evaluation.sources import packaged

pytestmark = pytest.mark.ros

pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

VALUES = {a.name: a.default for a in BRINGUPS['perception'].all_arguments}
QUICK = {'source': 'bikes', 'frames': 3, 'rate': 100.0}


def test_without_the_debian_package_the_demo_says_so_and_shows_another_video(
    tmp_path, monkeypatch, capsys
):
    assert _demo_source('street.mp4') == 'street.mp4'
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(packaged, '_OPENCV_DOC', tmp_path / 'vtest-absent.avi')
    assert _demo_source('vtest') == 'bikes'
    said = ' '.join(capsys.readouterr().err.split())
    assert 'apt install opencv-doc' in said
    assert 'Showing bikes instead' in said


def test_it_ends_when_the_last_node_does(ros_env, tmp_path):
    ending = NodeSpec('video_source', {**QUICK, 'exit_at_end': True}, last=True)
    recording = NodeSpec('recorder', {'output': str(tmp_path / 'all.mcap')})
    with Supervisor([recording, ending], VALUES, tmp_path / 'log', ros_env) as nodes:
        _wait_until(nodes.done)
    assert (tmp_path / 'all.mcap').is_file()  # the recorder was asked to stop, not killed
    assert 'published 3 images' in (tmp_path / 'log' / 'video_source.log').read_text()


def test_a_node_that_dies_is_reported_with_its_last_words(ros_env, tmp_path):
    broken = NodeSpec('video_source', {'source': '/no/such/video'})
    with (
        Supervisor([broken], VALUES, tmp_path, ros_env) as nodes,
        pytest.raises(NodeDied, match=r'(?s)video_source ended \(1\).*does not exist'),
    ):
        _wait_until(nodes.done)


def test_the_others_go_on_without_a_node_that_they_can_do_without(ros_env, tmp_path):
    broken = NodeSpec('video_source', {'source': '/no/such/video'}, required=False)
    told = []
    with Supervisor([broken], VALUES, tmp_path, ros_env, told.append) as nodes:
        _wait_until(lambda: nodes.done() or told)
        assert not nodes.done()
    assert len(told) == 1
    assert 'going on without a node: video_source ended (1)' in told[0]
    assert 'does not exist' in told[0]


def test_a_killed_node_comes_back_where_that_is_wanted(ros_env, tmp_path):
    looping = NodeSpec('video_source', {'source': 'bikes', 'loop': True})
    values = VALUES | {'use_respawn': 'true'}
    with Supervisor([looping], values, tmp_path, ros_env) as nodes:
        first = nodes._processes['video_source']
        first.kill()
        _wait_until(lambda: nodes.done() or nodes._processes['video_source'] is not first)
        assert nodes._processes['video_source'].poll() is None
    assert nodes._processes['video_source'].returncode is not None


def test_one_that_does_not_listen_is_killed_in_the_end(ros_env, tmp_path, monkeypatch):
    monkeypatch.setattr(
        'e4_ros.bringup.supervisor._PATIENCE', ((signal.SIGINT, 1), (signal.SIGKILL, 5))
    )
    deaf = 'import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(99)'
    monkeypatch.setattr(
        'e4_ros.bringup.supervisor.node_command', lambda *_: [sys.executable, '-c', deaf]
    )
    with Supervisor([NodeSpec('recorder')], VALUES, tmp_path, ros_env) as nodes:
        time.sleep(0.5)
    assert nodes._processes['recorder'].returncode == -signal.SIGKILL


def test_two_runs_get_domains_of_their_own():
    (one, first), (two, second) = private_environment(), private_environment()
    with first, second:
        assert one['ROS_DOMAIN_ID'] != two['ROS_DOMAIN_ID']


def _stand_still(log, running, seconds=1.0):
    """Stop the perception that writes a log as soon as it listens, for longer than five images."""
    while not running.done() and not (log.exists() and 'listening' in log.read_text()):
        time.sleep(0.05)
    pids = []
    for folder in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):  # another user's, or one that ended
            if (folder / 'fd' / '1').samefile(log):
                pids.append(int(folder.name))
    assert pids or running.done()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def test_the_demo_from_video_to_report(tmp_path):
    out = tmp_path / 'demo'
    command = [sys.executable, '-m', 'e4_ros.cli', 'up', 'demo', '--out', out]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            subprocess.run,
            [*command, '--frames', '40'],
            capture_output=True,
            text=True,
            timeout=200,
        )
        _stand_still(out / 'log' / 'perception.log', running)
        done = running.result()
    assert done.returncode == 0, done.stderr
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['frames_received'] == 40  # nothing got lost between the processes
    assert summary['frames_received'] == summary['frames_processed'] + summary['frames_dropped']
    assert sum(summary['exits'].values()) == summary['frames_processed']
    assert summary['board'] == 'jetson_orin_nano'
    logs = '\n'.join(log.read_text()[-2000:] for log in (out / 'log').glob('*.log'))
    assert summary['energy_source'] == 'modelled', logs
    assert summary['energy_j_per_frame'] > 0
    assert summary['baseline_energy_j_per_frame'] > 0
    assert summary['full_latency_ms']['mean'] > 0
    assert (out / 'report.html').stat().st_size > 100_000
    assert (out / 'telemetry.mcap').is_file()
    with av.open(str(out / 'annotated.mp4')) as video:
        assert sum(1 for _ in video.decode(video=0)) == summary['frames_processed']
    assert 'speed-up' in done.stdout


def test_ctrl_c_ends_the_watch_and_not_the_demo(tmp_path):
    class Interrupted:
        def done(self):
            raise KeyboardInterrupt

    _watch(Interrupted(), tmp_path / 'stamps.csv', 'bikes', None)


def test_bad_requests_are_told(tmp_path):
    for words, says, code in (
        (['demo', '--source', '/no/such/video'], 'does not exist', 2),
        (['demo', '--frames', 'few'], 'frames takes a whole number', 2),
        (['demo', '--board', 'toaster'], 'unknown board', 2),
        (['demo', '--model', 'nothing', '--frames', '3'], "no model is called 'nothing'", 1),
    ):
        done = subprocess.run(
            [sys.executable, '-m', 'e4_ros.cli', 'up', *words],
            capture_output=True,
            text=True,
            timeout=100,
            cwd=tmp_path,
        )
        assert done.returncode == code
        assert says in done.stderr
        assert 'Traceback' not in done.stderr


def _wait_until(condition, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.05)
