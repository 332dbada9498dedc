"""The parts of `e4 bench exits` on a few real frames, with the exits that ship."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import pytest

from e4_ros.benchmarks.exits import curves, experiment, fitting, memory, page
from e4_ros.benchmarks.exits.curves import measure_curves, thresholds_at
from e4_ros.benchmarks.exits.footage import FIT, SOURCE, TEST, Judged
from e4_ros.benchmarks.exits.headline import measure_headline
from e4_ros.benchmarks.exits.risk import measure_risk
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import read_manifest, shipped_bundle
from e4_ros.vision.models import load_model

FIXTURE = Path(__file__).parents[1] / 'fixtures' / 'detector'
EXITS = shipped_bundle(memory.MODEL)


def silent(*_: object) -> None:
    """Tell nobody."""


@pytest.fixture(scope='module')
def model():
    return load_model(memory.MODEL)


@pytest.fixture(scope='module')
def stream():
    """Twelve frames; the full network stands in for the teacher."""
    paths = sorted(FIXTURE.glob('vtest_*.webp'))[:12]
    frames = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    clip = [(index / 10, frame) for index, frame in enumerate(frames)]
    full = set_up(EngineOptions(memory.MODEL, exits=False, threads=1)).engine
    return Judged('as filmed', clip, [full.process_full(frame).detections for frame in frames])


@pytest.fixture(scope='module')
def result(model, stream):
    """Curves with few settings, the headline and the promises, in the shape of the JSON."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, 'STEPS', (2,))
        patch.setattr(curves, 'SIDES', (204,))
        patch.setattr(curves, 'TEMPORAL_THRESHOLDS', (0.05, 0.9))
        patch.setattr(curves, 'SCORE_THRESHOLDS', (0.1,))
        found = measure_curves(model, stream, {'cascade': EXITS}, 1, 2, silent)
    plan = experiment.Plan(['curves', 'risk'], True, 1, EXITS, False)
    found |= experiment.about(plan, len(stream.clip))
    thresholds = thresholds_at(read_manifest(EXITS).thresholds, 0.5)
    found['headline'] = measure_headline(model, stream, EXITS, thresholds, 1, 1, silent)
    found['risk'] = measure_risk(EXITS, stream, [stream], 1, silent)
    return json.loads(json.dumps(found))


def test_every_curve_has_its_points(result):
    counts = {name: len(points) for name, points in result['curves'].items()}
    assert counts == {
        'cascade': 2, 'score_threshold': 1, 'hold': 1, 'constant_velocity': 1, 'smaller_input': 1,
    }  # fmt: skip
    for points in result['curves'].values():
        for point in points:
            assert point['mean_ms'] > 0
            assert point['speedup'] > 0
            assert 0 <= point['f1_reference'] <= 1


def test_the_full_network_is_its_own_measure(result):
    assert result['full_f1_reference'] == 1.0
    assert result['full_ms'] > 0
    for points in result['curves'].values():
        for point in points:
            assert point['f1_full'] == pytest.approx(point['f1_reference'])


def test_an_answer_held_for_seconds_is_a_bad_one(result):
    (held,) = result['curves']['hold']
    assert held['early_share'] == 0.5
    assert held['f1_full'] < 0.9


def test_the_audit_stands_apart(result):
    headline = result['headline']
    assert headline['audits'] >= (headline['early_share'] > 0)
    assert headline['speedup_with_audit'] <= headline['speedup']


def test_too_little_footage_promises_nothing(result):
    promised = [row for row in result['risk'] if row['alpha'] is not None]
    assert [row['alpha'] for row in promised] == [0.05, 0.1, 0.2]
    assert not any(row['certified'] for row in promised)
    assert all('blocks' in row['why_not'] and row['observed'] == 0 for row in promised)


def test_the_page_shows_it_all(result, tmp_path):
    path = tmp_path / 'exits.html'
    page.write_page(result, path)
    text = path.read_text()
    for words in ('last answer held', 'score exits (BranchyNet)', 'A quick run on 12 frames',
                  'none certified', 'speed-up at no loss'):  # fmt: skip
        assert words in text
    assert text.count('window.PLOTLYENV=') == 1


def test_a_page_of_what_there_is_so_far(result, tmp_path):
    path = tmp_path / 'exits.html'
    some = {key: value for key, value in result.items() if key != 'risk' and key != 'headline'}
    page.write_page(some | {'peak_memory_mb': {'full': 800.0, 'cascade': 790.0}}, path)
    assert '790 MB' in path.read_text()
    assert 'Is the promise kept?' not in path.read_text()


def test_peak_memory_is_that_of_a_fresh_process():
    assert 50 < memory.child_peak_mb('1', 'full') < 10_000


def test_a_fit_that_fails_says_why(model, monkeypatch, tmp_path):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    monkeypatch.setattr(fitting, 'command', lambda *_: ['fits'])
    with pytest.raises(fitting.FittingError, match='No such command'):
        fitting.fitted(model, ['cascade'], False, silent)


def test_what_was_fitted_before_is_kept_and_what_is_damaged_is_not(model, monkeypatch, tmp_path):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    monkeypatch.setattr(fitting, 'command', lambda *_: ['fits'])
    good, bad = (fitting.path_of(model, fitting.VARIANTS[n]) for n in ('cascade', 'no_memory'))
    shutil.copytree(EXITS, good)
    stage = next(shutil.copytree(EXITS, bad).glob('stage1*'))
    stage.write_bytes(stage.read_bytes()[:1000])
    assert fitting.fitted(model, ['cascade'], False, silent) == {'cascade': good}
    with pytest.raises(fitting.FittingError):
        fitting.fitted(model, ['no_memory'], False, silent)
    with pytest.raises(fitting.FittingError):
        fitting.fitted(model, ['cascade'], True, silent)


def test_the_test_part_is_later_than_all_that_is_learnt():
    assert FIT[1] <= TEST[0] - 50
    assert fitting.command(load_model(memory.MODEL), ('--no-memory',), Path('x'))[:4] == [
        'fit', SOURCE, '--frames', str(FIT[1]),
    ]  # fmt: skip
