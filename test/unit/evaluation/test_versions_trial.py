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

"""`e4 versions`: what it measures and writes, and what it refuses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.evaluation.versions import try_versions
from e4_ros.perception.version_file import VersionFile
from e4_ros.perception.versions import VersionError, VersionSpec


def frame(lit: bool = True) -> np.ndarray:
    picture = np.random.default_rng(0).integers(40, 90, (128, 128, 3), np.uint8)
    if lit:
        picture[32:64, 32:64] = 255
    return picture


def frames(count: int, lit: bool = True):
    return [(index / 10, frame(lit)) for index in range(count)]


@pytest.fixture
def lamps(lamp_detector, tmp_path, monkeypatch):
    """A detector, a copy of it, and one for larger pictures that sees four lamps in one."""
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))
    for name, side in (('a', 64), ('b', 64), ('large', 128)):
        lamp_detector(tmp_path / f'{name}.onnx', side=side)
    lamp_detector(tmp_path / 'cars.onnx', names=('car', 'lorry'))
    return tmp_path


def specs(folder, *names) -> list[VersionSpec]:
    return [VersionSpec(name, str(folder / f'{name}.onnx')) for name in names]


def trial(folder, *names, stamped=None, **options):
    shown = frames(30) if stamped is None else stamped
    return try_versions(
        specs(folder, *names), shown, ['lamps'], threads=1, device='cpu',
        board='jetson_orin_nano', **options,
    )  # fmt: skip


def test_each_version_has_its_accuracy_times_and_joules(lamps):
    told = []
    found = trial(lamps, 'a', 'b', progress=lambda *news: told.append(news), limit=30)
    assert told[-1] == ('frames', 30, 30)
    for run in found.runs:
        assert run.measured.f1 == run.version.f1
        assert 0.5 < run.measured.f1 <= 1
        assert sum(run.measured.shares.values()) == pytest.approx(1)
        assert set(run.measured.ms) == set(run.measured.shares)
        assert run.measured.mean_j > 0
        assert run.version.switch_s >= 0
        assert len(run.exits) == len(run.seconds) == 30
    assert found.file.judged_by == 'teacher'
    assert found.file.of('a', found.runs[0].setup.fingerprint) == found.runs[0].measured


def test_peoples_labels_judge_where_they_are(lamps):
    labels = lamps / 'gt.txt'
    labels.write_text(''.join(f'{n},1,33,33,32,32,1,-1,-1,-1\n' for n in range(1, 31)))
    found = trial(lamps, 'a', 'large', labels=labels, labels_class='lamp')
    assert found.file.judged_by == 'people'
    right, other = found.runs
    assert right.measured.f1 > other.measured.f1
    assert len(right.counts) == 30


def test_what_cannot_be_compared_is_refused(lamps):
    with pytest.raises(VersionError, match='there are 5 frames; it takes at least 20'):
        trial(lamps, 'a', 'b', stamped=frames(5))
    with pytest.raises(VersionError, match='found an object'):
        trial(lamps, 'a', 'b', stamped=frames(25, lit=False))
    with pytest.raises(VersionError, match='version gone cannot be loaded'):
        trial(lamps, 'a', 'gone')
    with pytest.raises(VersionError, match='version cars has other classes'):
        trial(lamps, 'a', 'cars')


def test_the_command_writes_a_file_that_the_node_takes_and_a_page(lamps):
    folder = lamps / 'street'
    folder.mkdir()
    for index in range(24):
        cv2.imwrite(str(folder / f'{index:03}.png'), frame()[..., ::-1])
    out = lamps / 'found.yaml'
    result = CliRunner().invoke(
        app,
        [
            'versions', str(folder), '--model', str(lamps / 'a.onnx'),
            '--version', f'twin={lamps}/b.onnx', '--out', str(out), '--threads', '1',
            '--device', 'cpu',
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = VersionFile.load(out)
    assert [version.name for version in found.versions] == ['a', 'twin']
    page = (lamps / 'found.html').read_text()
    assert 'twin' in page
    assert 'plotly' in page.lower()


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (['--version', 'x='], 'names no bundle'),
        (['--version', 'x=/nowhere'], 'cannot be loaded'),
        (['--version', 'int8', '--learn', '--board', 'none'], 'trained for a board'),
        ([], 'version'),
    ],
)
def test_the_command_says_what_is_wrong(lamps, options, says):
    result = CliRunner().invoke(
        app, ['versions', 'bikes', '--model', str(lamps / 'a.onnx'), *options]
    )
    assert result.exit_code == 2
    assert says in ' '.join(result.output.split()) + result.stderr
