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

"""What is told of frames, who judges them, and the page that is made of it."""

import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest

from e4_ros.benchmarks.siblings.edge_page import headline, table_rows, write_edge_page
from e4_ros.benchmarks.siblings.edge_show import ALONE, LINK, SERVER, WITH, Happening, Show
from e4_ros.benchmarks.siblings.lab.film import Film, Footage, labelled_footage, turn
from e4_ros.benchmarks.siblings.lab.frames import AnsweredFrame, Drive, Sent
from e4_ros.vision.detections import Detections

LEGS = {'encode': 0.001, 'send': 0.002, 'queue': 0.5, 'run': 0.03, 'return': 0.001}


def frame(number, latency_s=0.01, exit='track', place='robot', box=(10, 10, 30, 60), requests=()):
    answer = Detections.of(np.array([box]), np.array([0.9]))
    return AnsweredFrame(
        number, 100 + number / 10, 0.001, latency_s, place, exit, answer, 0.02, 0.001,
        sum(each.sent_bytes for each in requests), requests, True,
    )  # fmt: skip


@pytest.fixture
def film(tmp_path):
    import cv2

    for index in range(3):
        cv2.imwrite(str(tmp_path / f'{index}.png'), np.full((100, 120, 3), 80 * index, np.uint8))
    lines = [f'{index},1,10,10,20,50,1' for index in (1, 2, 3)]
    labels = tmp_path / 'labels.txt'
    labels.write_text('\n'.join(lines))
    made = Film(Footage(str(tmp_path), labels), 10)
    yield made
    made.close()


def test_a_line_of_json_keeps_a_frame():
    asked = Sent('answered', True, 'network', 5000, 0.04, LEGS)
    lost = Sent('lost', False, 'network', 5000, math.nan)
    told = frame(7, requests=[asked, lost])
    read = AnsweredFrame.of_json(json.loads(json.dumps(told.to_json())))
    assert (read.number, read.exit, read.sent_bytes) == (7, 'track', 10_000)
    assert read.answer.boxes.tolist() == told.answer.boxes.tolist()
    assert read.requests[0].added_s == pytest.approx(0.004)
    assert math.isnan(read.requests[1].added_s)
    assert math.isnan(read.requests[1].total_s)


def test_a_film_runs_forth_and_back_and_other_processes_can_map_it(film):
    assert [turn(number, 3) for number in range(7)] == [0, 1, 2, 1, 0, 1, 2]
    assert film.frames[:, 0, 0, 0].tolist() == [0, 80, 160]
    assert not film.frames.flags.writeable


def test_a_process_in_a_user_namespace_sees_the_film(film):
    look = f'open({film.path!r}, "rb").read(1)'
    own = ['unshare', '--user', '--map-root-user']
    try:
        subprocess.run([*own, 'true'], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip('no user namespaces here')
    subprocess.run([*own, sys.executable, '-c', look], pass_fds=[film.descriptor], check=True)


def test_people_judge_the_frame_that_was_shown(film):
    right, wrong = frame(5), frame(5, box=(60, 10, 90, 60))
    assert film.judge(5, right.answer).hits == 1
    assert film.judge(5, wrong.answer).hits == 0


def test_late_is_later_than_the_deadline_and_its_grace():
    drive = Drive([frame(0, 0.2), frame(1, 0.2049), frame(2, 0.2051)], 4, 1)
    assert drive.late(0.2) == 1
    assert math.isnan(Drive([], 0, 0).latency_ms(50))


def test_the_page_says_what_happened(film, tmp_path):
    asked = Sent('answered', True, 'network', 5000, 0.04, LEGS)
    own = [frame(n, exit='full' if n % 5 == 0 else 'track') for n in range(60)]
    own[9] = frame(9, 0.03, 'edge', 'edge', requests=[asked])
    own[10] = frame(10, 0.3, 'full', box=(70, 10, 90, 60))
    happenings = [
        Happening(100, LINK, 'link 20 Mbit/s', 20),
        Happening(102, SERVER, 'server <killed>'),
    ]
    drives = {WITH: Drive(own, 61, 1), ALONE: Drive(own[:9], 61, 52)}
    show = Show(drives, happenings, 100, 0.2, film, None, {'robot': '20%'}, ['how & why'])
    write_edge_page(show, tmp_path / 'edge.html')
    page = (tmp_path / 'edge.html').read_text()
    assert 'server &lt;killed&gt;' in page
    assert 'how &amp; why' in page
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="http', page)
    assert headline(show).startswith('1 of 60 frames later than 200 ms')
    rows = dict(table_rows(show))
    assert rows['answered'] == ['60', '9']
    assert rows['answered by the server at once'] == ['1', '0']
    assert float(rows['F1 by people'][0]) < float(rows['F1 by people'][1]) == 1


def test_footage_with_labels_is_found(tmp_path):
    assert labelled_footage(str(tmp_path)) == []
    (tmp_path / 'square').mkdir()
    (tmp_path / 'square' / 'gt.txt').touch()
    (tmp_path / 'square' / 'square.mp4').touch()
    (tmp_path / 'vtest_labels.txt').touch()
    assert [each.name for each in labelled_footage(str(tmp_path))] == ['vtest', 'square']
