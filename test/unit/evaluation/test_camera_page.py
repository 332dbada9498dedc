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
"""The page about cameras: what each figure shows, and the words."""

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.evaluation.camera_run import FIFO, LEVELS, Answer, CameraRun, Video
from e4_ros.evaluation.report.camera_page import depth_shares, words, write_camera_page

FRAME = np.zeros((4, 4, 3), np.uint8)
VIDEOS = [Video('front', [FRAME], 0.05), Video('rear', [FRAME], 0.2)]


def run_of(rule, load, age_s):
    run = CameraRun(rule, load, VIDEOS, [10.0, 10.0])
    for index in range(10):
        run.answers += [
            Answer(0, index / 10, age_s, 'full'),
            Answer(1, index / 10, 0.01, 'track', held=index < 5),
        ]
    run.answers[-1] = Answer(1, 0.9)
    return run


def test_a_page_tells_of_every_run(tmp_path):
    runs = [
        run_of(r, load, 0.3 if r == FIFO else 0.02) for load in (0.5, 1.0) for r in (LEVELS, FIFO)
    ]
    file = tmp_path / 'cameras.html'
    write_camera_page(runs, file)
    page = file.read_text()
    for text in ('front: wanted within 50 ms', 'rear', 'service levels', 'fifo'):
        assert text in page
    told = words(runs)
    assert len(told) == 2
    assert '5.0 % late or without an answer under service levels, 55.0 %' in told[1]


def test_depths_are_shares_of_all_images():
    shares = depth_shares(run_of(LEVELS, 1.0, 0.02))
    assert sum(shares.values()) == pytest.approx(1)
    assert shares['network'] == pytest.approx(0.5)
    assert shares['tracks, for want of time'] == pytest.approx(0.25)
    assert shares['no answer'] == pytest.approx(0.05)


def test_misses_and_starvation():
    run = run_of(FIFO, 1.0, 0.3)
    assert run.missed(0) == 1
    assert run.missed(1) == pytest.approx(0.1)
    assert run.starvation == pytest.approx(9)
