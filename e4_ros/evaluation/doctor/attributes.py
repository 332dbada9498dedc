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

"""Attributes of the kernel for a checkup, in which a file that is absent is no error."""

from __future__ import annotations

from pathlib import Path

from e4_ros.energy.domains.sysfs import read_int, read_text
from e4_ros.energy.errors import DomainError


def text(path: Path) -> str:
    """What a file holds; empty where it cannot be read."""
    try:
        return read_text(path)
    except DomainError:
        return ''


def number(path: Path) -> int | None:
    """The number that a file holds; None where it holds none or cannot be read."""
    try:
        return read_int(path)
    except DomainError:
        return None


def command(value: str, *files: str) -> str:
    """What an operator types to write a text to files below the root."""
    return f'`echo {value} | sudo tee {" ".join(f"/{file}" for file in files)}`'


def few(names: list[str], most: int = 4) -> str:
    """The first names of a list, and how many more there are."""
    rest = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + rest
