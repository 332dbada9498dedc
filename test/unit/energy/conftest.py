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

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.energy.virtual.board import write_tree


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder whose sockets have short enough names."""
    with tempfile.TemporaryDirectory(prefix='e4') as folder:
        yield Path(folder)


@pytest.fixture
def board_root(short_dir: Path) -> Path:
    """A plain tree of a Jetson Orin Nano."""
    return write_tree('jetson_orin_nano', short_dir / 'root')


@pytest.fixture
def config(short_dir: Path, board_root: Path) -> DaemonConfig:
    return DaemonConfig(
        root=board_root,
        state_dir=short_dir / 'state',
        socket_path=short_dir / 'helper.sock',
        priority=0,
        watchdog_s=60,  # no test machine is so slow that the clocks rest in the middle of a test
    )


@pytest.fixture
def daemon(config: DaemonConfig) -> Iterator[Daemon]:
    with Daemon(config) as running:
        yield running


def _sweep(
    tables: dict[str, tuple[int, ...]], board: str = 'jetson_orin_nano', points: int = 4
) -> FrequencyPlan:
    """A plan whose segments go up through the tables, all domains together."""
    return FrequencyPlan.model_validate(
        {
            'name': 'sweep',
            'board': board,
            'model': 'any',
            'segments': [f's{i}' for i in range(points)],
            'devices': ['cpu'] * points,
            'paths': {
                'full': {
                    'segments': list(range(points)),
                    'points': [
                        {name: table[i % len(table)] for name, table in tables.items()}
                        for i in range(points)
                    ],
                    'expected_latency_s': 0.01,
                    'expected_energy_j': 0.01,
                }
            },
            'source': 'modelled',
        }
    )


@pytest.fixture
def sweep():
    return _sweep


def _files(root: Path) -> dict[str, str]:
    """Every file of a tree and its text."""
    return {
        str(path.relative_to(root)): path.read_text()
        for path in root.rglob('*')
        if path.is_file() and not path.is_symlink()
    }


@pytest.fixture
def files():
    return _files


class BadDomain:
    """A domain that fails on demand, around a real one of a plain tree."""

    def __init__(self, domain) -> None:
        self._domain = domain
        self.set_errors: list[OSError | None] = []
        self.open_error: OSError | None = None
        self.restore_lines: list[str] = []
        self.order: list[str] = []

    def __getattr__(self, name: str):
        return getattr(self._domain, name)

    def open(self) -> None:
        self.order.append('open')
        if self.open_error:
            raise self.open_error
        self._domain.open()

    def transition_writes(self, before_hz: int, hz: int) -> tuple[()]:
        return ()

    def set_hz(self, hz: int) -> int:
        error = self.set_errors.pop(0) if self.set_errors else None
        if error:
            raise error
        return self._domain.set_hz(hz)

    def restore(self, snapshot) -> list[str]:
        self.order.append('restore')
        return self._domain.restore(snapshot) + self.restore_lines


@pytest.fixture
def bad_domain():
    return BadDomain
