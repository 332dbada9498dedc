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

"""`e4 run` as a user runs it: the real network on real frames, and what happens to bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.evaluation.sources import open_source

E4 = [sys.executable, '-m', 'e4_ros.cli']
STORE = get_typestore(Stores.ROS2_JAZZY)


def run(*arguments: object):
    return CliRunner().invoke(app, ['run', *map(str, arguments)])


@pytest.fixture(scope='module')
def bikes(tmp_path_factory):
    """Twelve real frames through everything, in a process of its own."""
    out = tmp_path_factory.mktemp('run') / 'bikes'
    done = subprocess.run(
        [*E4, 'run', 'bikes', '--frames', '12', '--threads', '1', '--out', str(out)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out, done


def lines(out: Path) -> list[dict]:
    text = (out / 'detections.jsonl').read_text()
    return [json.loads(line) for line in text.splitlines() if line.endswith('}')]


def test_everything_promised_is_in_the_folder(bikes):
    out, done = bikes
    assert {path.name for path in out.iterdir()} == {
        'summary.json', 'detections.jsonl', 'annotated.mp4', 'report.html',
    }  # fmt: skip
    assert 'speed-up' in done.stdout
    assert '12/12' in done.stderr


def test_the_summary_adds_up(bikes):
    out, _ = bikes
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['frames_received'] == 12
    assert summary['frames_received'] == summary['frames_processed'] + summary['frames_dropped']
    assert sum(summary['exits'].values()) == 12
    assert summary['speedup_vs_full'] == pytest.approx(
        summary['full_latency_ms']['mean'] / summary['latency_ms']['mean'], rel=1e-4
    )
    # Nobody is in these frames, and that two answers say so is no agreement of 1.
    assert summary['f1_vs_full'] is None
    assert summary['agreement']['boxes'] == {'hits': 0, 'detections': 0, 'labels': 0}
    assert 0 < summary['energy_j_per_frame'] <= summary['baseline_energy_j_per_frame']
    assert (summary['energy_source'], summary['board']) == ('modelled', 'jetson_orin_nano')
    assert (summary['source'], summary['model']) == ('bikes', 'pedestrian_ssdlite')


def test_lines_and_video_go_with_the_summary(bikes):
    out, _ = bikes
    summary = json.loads((out / 'summary.json').read_text())
    rows = lines(out)
    assert [row['frame'] for row in rows] == list(range(12))
    assert [row['stamp'] for row in rows] == pytest.approx([i / 25 for i in range(12)])
    for name, count in summary['exits'].items():
        assert sum(row['exit'] == name for row in rows) == count
    with av.open(str(out / 'annotated.mp4')) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12


def test_the_controller_full_agrees_with_itself(people, tmp_path):
    result = run(people, '--controller', 'full', '--frames', 3, '--threads', 1, '--out', tmp_path)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['exits'] == {'full': 3}
    assert summary['f1_vs_full'] == 1.0
    assert summary['energy_j_per_frame'] == summary['baseline_energy_j_per_frame']


def test_without_board_and_baseline_nothing_is_made_up(tmp_path):
    result = run(
        'bikes',
        '--frames',
        2,
        '--threads',
        1,
        '--board',
        'none',
        '--no-baseline',
        '--out',
        tmp_path,
    )
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / 'summary.json').read_text())
    absent = ('full_latency_ms', 'speedup_vs_full', 'f1_vs_full', 'energy_j_per_frame')
    assert all(summary[key] is None for key in absent)
    assert lines(tmp_path)[0]['energy_j'] is None


def test_unsure_classes_are_compared_too(tmp_path):
    options = (
        '--model',
        'efficientnet_lite0',
        '--controller',
        'full',
        '--frames',
        3,
        '--threads',
        1,
    )
    result = run('bikes', *options, '--min-score', 0.99, '--out', tmp_path)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / 'summary.json').read_text())['f1_vs_full'] == 1.0
    assert all(row['detections'] == [] for row in lines(tmp_path))
    from e4_ros.evaluation.job import Job, JobOptions

    job = Job(JobOptions(model='efficientnet_lite0', controller='full', threads=1, min_score=0.99))
    (record,) = job.run(open_source('bikes'), limit=1)
    assert len(record.result.detections) == 1


def write_bag(folder: Path, frames: list[np.ndarray]) -> Path:
    kind = 'sensor_msgs/msg/CompressedImage'
    types = STORE.types
    with Writer(folder, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection('/camera', kind, typestore=STORE)
        for index, frame in enumerate(frames):
            stamp = types['builtin_interfaces/msg/Time'](100 + index, 0)
            data = cv2.imencode('.png', frame[..., ::-1])[1].reshape(-1)
            if index == 1:
                data = data[:50]
            header = types['std_msgs/msg/Header'](stamp=stamp, frame_id='')
            message = types[kind](header=header, format='png', data=data)
            writer.write(connection, index + 1, STORE.serialize_cdr(message, kind))
    return folder


def test_a_bag_answers_as_its_video_does_and_a_bad_image_is_counted(tmp_path):
    frames = [frame for _, (_, frame) in zip(range(4), open_source('bikes'), strict=False)]
    bag = write_bag(tmp_path / 'bag', frames)
    options = ('--controller', 'full', '--threads', 1, '--no-baseline', '--out')
    assert run(bag, *options, tmp_path / 'a').exit_code == 0
    assert run('bikes', '--frames', 4, *options, tmp_path / 'b').exit_code == 0
    summary = json.loads((tmp_path / 'a' / 'summary.json').read_text())
    assert (summary['frames_received'], summary['frames_dropped']) == (4, 1)
    from_bag, from_video = lines(tmp_path / 'a'), lines(tmp_path / 'b')
    assert [row['stamp'] for row in from_bag] == [100.0, 102.0, 103.0]
    for ours, theirs in zip(from_bag, (from_video[i] for i in (0, 2, 3)), strict=True):
        assert ours['detections'] == theirs['detections']


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['/nowhere.mp4'], 'does not exist'),
        (['/dev/video99'], 'cannot be opened'),
        (['bikes', '--board', 'jetson_zeta'], 'unknown board'),
        (['bikes', '--model', 'resnet_of_dreams'], 'resnet_of_dreams'),
        (['bikes', '--plan-file', '/nowhere.yaml'], 'nowhere.yaml'),
        (['bikes', '--model', '/nowhere'], '/nowhere'),
        (['bikes', '--deadline-s', '0.0000001'], 'no operating point'),
    ],
)
def test_bad_input_ends_in_a_sentence(arguments, says, tmp_path):
    result = run(*arguments, '--threads', 1, '--out', tmp_path / 'out')
    assert result.exit_code == 2
    assert 'error:' in result.output
    assert says in ' '.join(result.output.split())
    assert 'Traceback' not in result.output


def test_an_out_folder_that_is_a_file_ends_in_a_sentence(tmp_path):
    (tmp_path / 'file').write_text('')
    result = run('bikes', '--frames', 1, '--out', tmp_path / 'file')
    assert result.exit_code == 1
    assert 'error:' in result.output


def test_a_video_cut_off_is_run_as_far_as_it_goes(tmp_path):
    whole = tmp_path / 'whole.avi'
    with av.open(str(whole), 'w') as container:
        stream = container.add_stream('mjpeg', rate=10)
        stream.height, stream.width, stream.pix_fmt = 240, 320, 'yuvj420p'
        for value in range(20):
            frame = np.random.default_rng(value).integers(0, 255, (240, 320, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())
    cut = tmp_path / 'cut.avi'
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 4])
    result = run(cut, '--threads', 1, '--no-baseline', '--out', tmp_path / 'out')
    assert result.exit_code == 0, result.output
    assert 2 <= len(lines(tmp_path / 'out')) < 20
    assert 'ended early' in (tmp_path / 'out' / 'report.html').read_text()


def test_ctrl_c_keeps_what_was_done(tmp_path):
    frames = tmp_path / 'frames'
    frames.mkdir()
    cv2.imwrite(str(frames / '0.png'), np.zeros((60, 80, 3), np.uint8))
    for index in range(1, 5000):
        (frames / f'{index}.png').symlink_to('0.png')
    out = tmp_path / 'out'
    process = subprocess.Popen(
        [*E4, 'run', str(frames), '--controller', 'full', '--threads', '1', '--out', str(out)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None:
        time.sleep(0.05)
        if (out / 'detections.jsonl').is_file() and len(lines(out)) > 2:
            process.send_signal(signal.SIGINT)
            break
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert 2 < len(lines(out)) < 5000
    assert json.loads((out / 'summary.json').read_text())['frames_processed'] == len(lines(out))
    assert (out / 'report.html').is_file()


def test_a_home_that_cannot_be_written_is_told_and_no_hindrance(tmp_path):
    unset = ('E4_CACHE', 'XDG_CACHE_HOME')
    environment = {name: text for name, text in os.environ.items() if name not in unset}
    # A bundle needs no cache; a network of the zoo is built into it.
    for model, told in (('pedestrian_ssdlite', 0), ('efficientnet_lite0', 1)):
        out = tmp_path / model
        arguments = ['--model', model, '--frames', '2', '--threads', '1', '--out', str(out)]
        done = subprocess.run(
            [*E4, 'run', 'bikes', *arguments],
            env=environment | {'HOME': '/proc'},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.count('set E4_CACHE') == told
        assert (out / 'summary.json').is_file()
