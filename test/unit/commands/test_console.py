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

"""How commands fail: one line on stderr, a documented exit code, no traceback."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from e4_ros import __version__, console, extras
from e4_ros.commands.app import FAILED, INTERRUPTED, WRONG_INPUT, app

E4 = [sys.executable, '-m', 'e4_ros.cli']


def run(*words: str):
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize(
    'words',
    [
        ('run', 'nosuch.mp4'),
        ('profile', '--board', 'banana'),
        ('reproduce', '--boards', 'banana', '--train-frames', '0'),
        ('virtual-board', 'banana', '--write', 'nowhere'),
        ('dvfs', 'set', 'gpu'),
        ('dvfs', 'set', '--no-such-option'),
        ('nosuchcommand',),
    ],
)
def test_wrong_input_is_exit_code_2_and_told_on_stderr(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == WRONG_INPUT, result.output
    assert result.stdout == ''
    assert re.match('error: |Usage: ', result.stderr), result.stderr


def test_a_machine_that_does_not_do_as_asked_is_exit_code_1(tmp_path):
    result = run('dvfs', 'list', '--sysfs-root', str(tmp_path))
    assert result.exit_code == FAILED
    assert result.stderr.startswith('error: there is no clock to set')


def test_an_error_is_printed_as_it_stands(capsys):
    console.error('[red]no markup[/], and 3 numbers in /a/path ' + 'x' * 200)
    assert capsys.readouterr().err == (
        'error: [red]no markup[/], and 3 numbers in /a/path ' + 'x' * 200 + '\n'
    )


def test_an_error_of_the_system_is_told_in_words(tmp_path):
    result = run('virtual-board', 'jetson_nano', '--write', str(tmp_path / 'file' / 'below'))
    assert result.exit_code == 0, result.output
    (tmp_path / 'plain').write_text('')
    result = run('virtual-board', 'jetson_nano', '--write', str(tmp_path / 'plain' / 'below'))
    assert result.exit_code == FAILED
    assert 'Not a directory' in result.stderr
    assert 'Errno' not in result.stderr


def test_a_traceback_is_there_for_the_asking():
    assert run('--traceback', 'run', 'nosuch.mp4').exception.__class__.__name__ == 'SourceError'


def test_interrupted_is_exit_code_130_and_one_line(tmp_path):
    ended = subprocess.Popen(
        [*E4, 'data', 'synth', '--out', str(tmp_path / 'set')],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not any((tmp_path / 'set').rglob('*.mp4')) and time.monotonic() < deadline:
        time.sleep(0.05)
    ended.send_signal(signal.SIGINT)
    told = ended.communicate(timeout=60)[1]
    assert ended.returncode == INTERRUPTED, told
    assert told.strip().splitlines()[-1] == 'error: interrupted'
    assert 'Traceback' not in told


def test_a_reader_that_leaves_is_no_error():
    listing = subprocess.run(
        f'{sys.executable} -m e4_ros.cli --help | head -1', shell=True, capture_output=True
    )
    assert listing.stderr == b''


def test_the_version_is_that_of_the_package():
    assert run('--version').stdout == f'e4_ros {__version__}\n'
    manifest = ElementTree.parse(Path(__file__).parents[3] / 'package.xml')
    assert manifest.findtext('version') == __version__


def test_exit_codes_are_documented_in_the_help():
    told = ' '.join(run('--help').stdout.split())
    assert 'Exit codes: 0 done; 1 failed' in told
    assert '130 interrupted' in told


def test_a_missing_extra_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, 'train', ('numpy', 'no_such_module', 'neither_this'))
    with pytest.raises(extras.MissingExtraError, match='pip install no-such-module neither-this'):
        extras.require('train', '`e4 fit`')
    result = run('fit', 'nosuch.mp4')
    assert result.exit_code == FAILED
    assert '`e4 fit` needs the extra `train`' in result.stderr


def test_a_package_that_must_come_alone_is_told_so(monkeypatch):
    monkeypatch.setattr(extras, 'find_spec', lambda name: None)
    with pytest.raises(extras.MissingExtraError) as error:
        extras.require('labels', 'judging')
    told = '`pip install supervision` and `pip install --no-deps trackers`, or `make labels`'
    assert told in str(error.value)


@pytest.mark.parametrize(
    'words',
    [
        ('build', 'torchvision/resnet18', '--out', 'b'),
        ('fit', 'bikes'),
        ('train', 'set'),
        ('bench', 'clips'),
        ('bench', 'exits'),
        ('bench', 'profile', '--json', 'p.json'),
        ('run', 'bikes', '--runtime', 'torch'),
        ('run', 'bikes', '--labels', 'gt.txt'),
        ('run', 'bikes', '--model', 'torchvision/resnet18'),
        ('reproduce', '--quick'),
    ],
)
def test_a_command_without_its_extra_says_so_before_any_work(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))
    for extra in extras.EXTRAS:
        monkeypatch.setitem(extras.EXTRAS, extra, ('no_such_module',))
    result = run(*words)
    assert result.exit_code == FAILED, result.output
    assert 'no_such_module is not installed: `pip install no-such-module`' in result.stderr


def test_phases_show_one_bar_each_and_only_where_wanted(monkeypatch):
    monkeypatch.setattr(console.STDERR, '_force_terminal', True)
    with console.STDERR.capture() as shown, console.Phases(keep=True, thread=False) as phases:
        phases('first', 1, 2)
        phases('first', 2, 2, 'a remark')
        phases('second', 3, None)
    text = shown.get()
    assert 'first' in text
    assert '2/2' in text
    assert 'a remark' in text
    assert 'second' in text
    with console.STDERR.capture() as shown, console.Phases(shown=False) as phases:
        phases('first', 1, 2)
    assert shown.get() == ''


def test_ctrl_c_while_commands_are_imported_is_one_line():
    command = 'import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n'
    command += 'from e4_ros import cli\n'
    command += 'sys.meta_path.insert(0, type("Stop", (), {"find_spec": staticmethod('
    command += 'lambda name, *_: signal.raise_signal(signal.SIGINT))}))\ncli.main()'
    ended = subprocess.run([sys.executable, '-c', command], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (INTERRUPTED, 'error: interrupted\n')
