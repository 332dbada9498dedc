"""What `e4 fit`, `e4 calibrate`, `e4 precision` and `e4 run` say of input that will not do."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.vision.exit_checkpoint import Checkpoint, default_path

SHIPPED = str(default_path('pedestrian_ssdlite'))


def e4(arguments):
    return CliRunner().invoke(app, arguments.split())


@pytest.fixture
def damaged(tmp_path):
    path = tmp_path / 'damaged.safetensors'
    path.write_bytes(default_path('pedestrian_ssdlite').read_bytes()[:1000])
    return str(path)


@pytest.fixture
def foreign(tmp_path):
    path = tmp_path / 'foreign.safetensors'
    Checkpoint('efficientnet_lite0', '0' * 16).save(path)
    return str(path)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ('fit bikes --frames 10', 'source 1 has 10 frames; fitting needs at least 40'),
        ('fit nowhere.mp4', 'nowhere.mp4'),
        ('fit bikes --frames 40 --model pedestrian', 'pedestrian_ssdlite'),
        ('calibrate bikes --frames 30 --exits SHIPPED', '59 blocks of 1 s'),
        ('calibrate bikes --skip 5000 --exits SHIPPED', 'source 1 has no frames'),
        ('calibrate bikes --risk 2 --exits SHIPPED', 'between 0 and 1'),
        ('calibrate bikes --exits DAMAGED', 'cannot be read as a checkpoint'),
        ('calibrate bikes --exits FOREIGN', "was fitted for 'efficientnet_lite0'"),
        ('calibrate bikes --exits SHIPPED --precision int4', 'no precision'),
        ('precision bikes --frames 10', 'there are 10 frames; it takes at least 40'),
        ('precision bikes --exits DAMAGED', 'cannot be read as a checkpoint'),
        ('run bikes --frames 3 --exits DAMAGED', 'cannot be read as a checkpoint'),
        ('run bikes --frames 3 --exits FOREIGN', "was fitted for 'efficientnet_lite0'"),
        ('run bikes --frames 3 --precision int8', 'run `e4 precision FOOTAGE`'),
    ],
)
def test_bad_input_ends_in_a_sentence(arguments, said, damaged, foreign, tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))
    monkeypatch.chdir(tmp_path)
    files = {'SHIPPED': SHIPPED, 'DAMAGED': damaged, 'FOREIGN': foreign}
    result = e4(' '.join(files.get(word, word) for word in arguments.split()))
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit), 'no traceback'
    assert said in ' '.join(result.output.split())
    assert not list(tmp_path.glob('exits.safetensors*')), 'nothing is left behind'


def test_what_is_said_to_be_kept_runs_and_what_is_not_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('COLUMNS', '200')
    tried = e4('precision bikes --frames 40 --only int8 --least 0.5 --threads 1')
    assert tried.exit_code == 0
    (row,) = [line.split() for line in tried.stdout.splitlines() if line.split()[:1] == ['2']]
    assert row[1] == 'int8'
    out = f'--threads 1 --board none --out {tmp_path / "run"}'
    run = e4(f'run bikes --frames 2 --precision int8 {out}')
    assert run.exit_code == (2 if 'not' in row else 0)  # whichever it is on this machine
