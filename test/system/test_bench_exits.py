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

"""`e4 bench exits` on a few real frames, and its parts with the exits that ship."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from e4_ros.benchmarks.exits import fitting, memory
from e4_ros.benchmarks.exits.fitted import measure_fitted
from e4_ros.benchmarks.exits.footage import FIT, SOURCE, TEST, Judged
from e4_ros.benchmarks.exits.risk import measure_risk
from e4_ros.benchmarks.exits.streams import Stream
from e4_ros.commands.app import app
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import shipped_bundle
from e4_ros.vision.zoo import load_model

FIXTURE = Path(__file__).parents[1] / 'fixtures' / 'detector'
EXITS = shipped_bundle(memory.MODEL)


def silent(*_: object) -> None:
    """Tell nobody."""


def bench(*arguments: object):
    return CliRunner().invoke(app, ['bench', 'exits', *map(str, arguments)], env={'E4_FOOTAGE': ''})


@pytest.fixture(scope='module')
def model():
    return load_model(memory.MODEL)


@pytest.fixture(scope='module')
def stream():
    """Twelve frames; the full network stands in for the teacher."""
    paths = sorted(FIXTURE.glob('vtest_*.webp'))[:12]
    frames = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    clip = [(index / 10, frame) for index, frame in enumerate(frames)]
    full = set_up(EngineOptions(memory.MODEL, exits=False, tracks=False, threads=1)).engine
    return Judged('as filmed', clip, [full.process_full(frame).detections for frame in frames])


@pytest.fixture(scope='module')
def quick(tmp_path_factory):
    """Everything that a quick run writes of one stream and one perturbation."""
    out = tmp_path_factory.mktemp('bench') / 'exits.json'
    said = bench('--quick', '--stream', 'bikes', '--stream', 'cut', '--json', out)
    assert said.exit_code == 0, said.output
    return json.loads(out.read_text()), said.stdout, out.with_suffix('.html').read_text()


def test_the_ladder_and_its_peers_answered_the_stream(quick):
    figures, _, _ = quick
    (entry,) = figures['ladder']
    assert entry['stream'] == 'bikes'
    assert entry['f1_people'] is None, 'nobody labelled it'
    assert 0 < entry['f1_full_tracked'] <= 1
    assert entry['speedup'] > 0
    assert 0 < entry['key_frames'] < 1
    (bikes,) = (s for s in figures['streams'] if s['stream'] == 'bikes')
    asked = {way['way'] for way in bikes['ways']}
    assert asked >= {
        'full_tracked', 'full', 'ladder', 'bytetrack', 'tracker', 'hold', 'constant_velocity',
        'smaller_input', 'int8', 'closer',
    }  # fmt: skip
    by_name = {(way['way'], way['setting']): way for way in bikes['ways']}
    assert by_name['full_tracked', 0.0]['f1_full_tracked'] == 1
    assert by_name['hold', 3]['key_frames'] == pytest.approx(1 / 3, abs=0.03)
    assert by_name['int8', 8]['f1_full_tracked'] > 0.2
    assert by_name['bytetrack', 1]['id_switches'] is not None


def test_every_stream_is_asked_for_every_risk(quick):
    rows = quick[0]['risk_online']
    asked = [(row['stream'], row['asked']) for row in rows]
    assert asked == [(s, r) for s in ('bikes', 'cut') for r in (0.05, 0.1, 0.2)]
    assert all(0 <= row['seen'] <= 1 and 0 < row['key_frames'] <= 1 for row in rows)


def test_what_the_exit_track_costs_stands_beside_the_full_network(quick):
    figures = quick[0]
    assert list(figures['track_ms']) == ['5', '30']
    for count, ms in figures['track_ms'].items():
        assert figures['track_share'][count] == pytest.approx(ms / figures['full_ms'])
        assert ms > 0


def test_passes_are_counted_where_people_labelled_only(quick):
    assert quick[0]['closer'] == [], 'nobody labelled these streams'
    (bikes,) = (s for s in quick[0]['streams'] if s['stream'] == 'bikes')
    spent = [way['key_frames'] for way in bikes['ways'] if way['way'] == 'closer']
    assert spent == sorted(spent)
    assert spent[-1] == 1


def test_terminal_and_page_show_it_and_say_what_is_missing(quick):
    _, terminal, page = quick
    for text in (terminal, page):
        assert 'E4_FOOTAGE' in text
        assert 'bikes' in text
    assert 'every k-th frame, ByteTrack' in page
    assert 'A quick run: it says little.' in page
    assert page.count('plotly.js v') == 1, 'one copy of the library for all pictures'


def test_a_stream_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    said = bench('--quick', '--stream', 'dragons', '--json', tmp_path / 'x.json')
    assert said.exit_code == 2
    assert 'no stream dragons here; there are' in ' '.join(said.stderr.split())
    assert not (tmp_path / 'x.json').exists()


def test_fitted_exits_are_judged_behind_what_they_learnt(stream):
    """The exits that ship stand in for fitted ones; the first frames are not asked."""
    clip = [*stream.clip] * 27
    longer = Stream(SOURCE, [(i / 10, frame) for i, (_, frame) in enumerate(clip)], moving=False)
    found = measure_fitted(longer, EXITS, memory.MODEL, 1, [*stream.reference] * 27, True, silent)
    assert found['teacher'] == [FIT[1], 324]
    assert found['people'] is None
    ways = {way['way']: way for way in found['ways']}
    assert list(ways) == ['full', 'full_tracked', 'ladder', 'fitted_ladder', 'fitted_exits']
    assert ways['full']['speedup'] == 1
    assert ways['full']['key_frames'] == 1
    assert all(0 <= way['f1_teacher'] <= 1 and way['f1_people'] is None for way in found['ways'])


def test_where_no_exit_is_certified_nothing_is_lost(stream):
    promised = [r for r in measure_risk(EXITS, stream, [stream], 1, silent) if r['alpha']]
    assert [row['alpha'] for row in promised] == [0.05, 0.1, 0.2]
    assert not any(row['certified'] for row in promised)
    assert all(row['why_not'] and row['observed'] == 0 for row in promised)


def test_peak_memory_is_that_of_a_fresh_process():
    assert 50 < memory.child_peak_mb(1, 'full') < 10_000


def test_a_fit_that_fails_says_why(model, monkeypatch, tmp_path):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    monkeypatch.setattr(fitting, 'command', lambda *_: ['fits'])
    with pytest.raises(fitting.FittingError, match='No such command'):
        fitting.fitted(model, SOURCE, False, silent)


def test_what_was_fitted_before_is_kept_and_what_is_damaged_is_not(model, monkeypatch, tmp_path):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    monkeypatch.setattr(fitting, 'command', lambda *_: ['fits'])
    good, bad = (fitting.path_of(model, source) for source in (SOURCE, 'elsewhere'))
    shutil.copytree(EXITS, good)
    stage = next(shutil.copytree(EXITS, bad).glob('stage0*'))
    stage.write_bytes(stage.read_bytes()[:1000])
    assert fitting.fitted(model, SOURCE, False, silent) == good
    with pytest.raises(fitting.FittingError):
        fitting.fitted(model, 'elsewhere', False, silent)
    with pytest.raises(fitting.FittingError):
        fitting.fitted(model, SOURCE, True, silent)


def test_a_stream_that_is_no_file_is_fitted_from_its_images(stream, monkeypatch, tmp_path):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    (tmp_path / 'bench').mkdir()
    folder = fitting.as_folder(Stream('moving window', stream.clip, moving=True))
    kept = sorted(folder.glob('*.png'))
    assert len(kept) == len(stream.clip)
    assert (cv2.imread(str(kept[3]))[..., ::-1] == stream.clip[3][1]).all()


def test_the_test_part_is_later_than_all_that_is_learnt():
    assert FIT[1] <= TEST[0] - 50
    assert fitting.command(load_model(memory.MODEL), SOURCE, Path('x'))[:4] == [
        'fit', SOURCE, '--frames', str(FIT[1]),
    ]  # fmt: skip
