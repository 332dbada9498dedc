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

"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Where to write what is to take the place of ``path``, and does so at the end of the block.

    Where the block fails, as on a full disk, what was at ``path`` stays as it was, and errors of
    the system that name no file name this one.
    """
    target = Path(path)
    scratch = target.with_name(f'.{target.stem}.{os.getpid()}{target.suffix}')
    try:
        with naming(target, scratch):
            yield scratch
            scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def write_whole(path: str | Path, text: str) -> None:
    """Write a text in UTF-8; see `replacing`."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding='utf-8')


@contextmanager
def naming(path: str | Path, scratch: Path | None = None) -> Iterator[None]:
    """Let errors of the system that name no file, such as that of a full disk, name this one.

    So do those that name ``scratch``, which nobody but us knows.
    """
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None or str(error.filename) == str(scratch)
        if not unnamed or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror or os.strerror(error.errno), str(path)) from error
