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

"""Tasks on workers that fail, die and die again, in real processes."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from e4_ros.evaluation.spread.schedule import TRIES, run_tasks
from e4_ros.evaluation.spread.scratch import make_scratch
from e4_ros.evaluation.spread.workers import Processes, Task, reason


class Diary:
    """Writes down what is told, and what counted in the end."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.reasons: dict[str, str] = {}
        self.values: dict[str, list] = {}

    def begun(self, task):
        self.events.append(('begun', task))
        self.values[task] = []

    def said(self, task, value):
        self.values[task].append(value)

    def ended(self, task):
        self.events.append(('ended', task))

    def failed(self, task, why):
        self.events.append(('failed', task))
        self.reasons[task] = why

    def lost(self, task, why):
        self.events.append(('lost', task))
        self.reasons[task] = why
        return True


def count_to(say, number):
    for value in range(number):
        say(value)


def refuse(say, why):
    say('about to fail')
    raise ValueError(why)


def slip(say):
    say({}['no such key'])


def die_once(say, been_here: str):
    """The first to come is killed, after a part of what there is to say."""
    say('first')
    if not Path(been_here).exists():
        Path(been_here).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    say('second')


def die(say):
    os._exit(7)


def wait_long(say):
    say((os.getpid(), tempfile.mkdtemp()))
    time.sleep(600)


@pytest.fixture
def workers():
    found = Processes(2)
    yield found
    found.close()


def test_what_fails_fails_alone_and_what_dies_is_begun_again(workers, tmp_path):
    tasks = [
        Task('counts', count_to, (3,)),
        Task('refuses', refuse, ('it is no video',)),
        Task('slips', slip),
        Task('dies once', die_once, (str(tmp_path / 'mark'),)),
        Task('dies', die),
    ]
    diary = Diary()
    run_tasks(tasks, workers, diary)
    assert diary.values['counts'] == [0, 1, 2]
    assert diary.reasons['refuses'] == 'it is no video'
    assert diary.reasons['slips'] == "KeyError: 'no such key'"
    assert diary.values['dies once'] == ['first', 'second'], 'of the last try alone'
    assert 'SIGKILL' in diary.reasons['dies once']
    assert diary.events.count(('begun', 'dies')) == TRIES
    assert diary.events.count(('failed', 'dies')) == 1
    assert 'exit code 7' in diary.reasons['dies']
    over = [task for kind, task in diary.events if kind in ('ended', 'failed')]
    assert sorted(over) == sorted(task.name for task in tasks)


def test_shared_values_and_what_is_shipped_follow_the_arguments(workers, tmp_path):
    workers.share('greeting', 'hello')
    diary = Diary()
    run_tasks([Task('t', lambda_free, (1,), ('greeting',), ship=tmp_path)], workers, diary)
    assert diary.values['t'] == [(1, 'hello', tmp_path)]


def lambda_free(say, *values):
    say(values)


def test_closing_kills_what_runs_and_leaves_no_files(workers):
    workers.begin(Task('long', wait_long))
    pid, folder = workers.events(60)[0].value
    assert Path(folder).is_dir()
    workers.close()
    assert not Path('/proc', str(pid)).exists()
    assert not Path(folder).exists()


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    gone = tmp_path / 'e4-bag-999999999-x'
    gone.mkdir()
    own = make_scratch()
    assert make_scratch() != own
    assert not gone.exists()
    assert own.is_dir(), 'its process is alive'


@pytest.mark.parametrize(
    ('error', 'words'),
    [
        (OSError(28, 'No space left on device', 'f'), "[Errno 28] No space left on device: 'f'"),
        (ValueError(), 'ValueError: '),
        (IndexError('list index'), 'IndexError: list index'),
    ],
)
def test_reasons_are_sentences(error, words):
    assert reason(error) == words
