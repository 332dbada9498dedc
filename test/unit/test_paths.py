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

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from e4_ros import paths

READ_ONLY = [Path('/proc'), Path('/dev/null')]
"""Homes that nobody can write, root neither."""


@pytest.fixture
def home(monkeypatch, tmp_path):
    for name in ('E4_CACHE', 'XDG_CACHE_HOME', 'ROS_LOG_DIR', 'ROS_HOME'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('HOME', str(tmp_path))
    return tmp_path


def test_the_cache_lies_in_the_home_or_where_it_is_said_to_be(home, monkeypatch):
    assert paths.cache_dir() == home / '.cache' / 'e4_ros'
    monkeypatch.setenv('XDG_CACHE_HOME', '')  # empty is as good as none
    assert paths.cache_dir() == home / '.cache' / 'e4_ros'
    monkeypatch.setenv('XDG_CACHE_HOME', str(home / 'xdg'))
    assert paths.cache_dir() == home / 'xdg' / 'e4_ros'
    monkeypatch.setenv('E4_CACHE', str(home / 'mine'))
    assert paths.cache_dir() == home / 'mine'
    assert (home / 'mine').is_dir()


@pytest.mark.parametrize('where', READ_ONLY, ids=str)
def test_without_a_home_to_write_the_cache_is_temporary_and_that_is_said_once(
    home, monkeypatch, caplog, where
):
    monkeypatch.setenv('E4_CACHE', '')
    monkeypatch.setenv('HOME', str(where))
    with caplog.at_level(logging.WARNING):
        first, second = paths.cache_dir(), paths.cache_dir()
    assert first == second
    (first / 'x').write_text('it can be written')
    (record,) = caplog.records
    assert str(where) in record.getMessage()
    assert 'set E4_CACHE' in record.getMessage()
    shutil.rmtree(first)


@pytest.mark.parametrize('where', READ_ONLY, ids=str)
def test_the_temporary_folders_end_with_the_process(home, monkeypatch, where):
    monkeypatch.setenv('HOME', str(where))
    program = (
        'import os; from e4_ros import paths; '
        'paths.ensure_ros_log_dir(); print(paths.cache_dir(), os.environ["ROS_LOG_DIR"])'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=True
    )
    folders = [Path(name) for name in done.stdout.split()]
    assert len(set(folders)) == 2
    assert not any(folder.exists() for folder in folders)
    assert 'set ROS_LOG_DIR' in done.stderr


def test_ros_keeps_its_folder_where_it_can_be_written(home, monkeypatch):
    paths.ensure_ros_log_dir()
    assert 'ROS_LOG_DIR' not in paths.os.environ
    assert (home / '.ros' / 'log').is_dir()
