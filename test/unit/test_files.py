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

"""Files are replaced whole, and a full disk says which file it was full for."""

from __future__ import annotations

import errno
import resource
from contextlib import contextmanager

import pytest

from e4_ros.files import naming, replacing, write_whole


@contextmanager
def full_disk(size: int):
    """No file may grow beyond ``size`` bytes: writing fails in its middle, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / 'summary.json'
    write_whole(path, 'old')
    write_whole(path, 'néw')
    assert path.read_text('utf-8') == 'néw'
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_there_survives_a_full_disk_which_names_the_file(tmp_path):
    path = tmp_path / 'summary.json'
    write_whole(path, 'old')
    with full_disk(100), pytest.raises(OSError, match='large') as caught:
        write_whole(path, 'new' * 1000)
    assert caught.value.filename == str(path)
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_for_another_reason_leaves_the_old_file_too(tmp_path):
    path = tmp_path / 'page.html'
    write_whole(path, 'old')

    def fail() -> None:
        with replacing(path) as scratch:
            scratch.write_text('half')
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_that_names_a_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, naming(tmp_path / 'one'):
        (tmp_path / 'other').read_text()
    assert caught.value.filename == str(tmp_path / 'other')
    with pytest.raises(OSError, match='space') as caught, naming(tmp_path / 'one'):
        raise OSError(errno.ENOSPC, 'No space left on device')
    assert caught.value.filename == str(tmp_path / 'one')
