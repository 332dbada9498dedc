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

"""`e4 compare` on virtual boards: through FUSE and the daemon, and on a tree without a meter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.daemon.hold_point import leased
from e4_ros.energy.virtual import mount_problem, mounted, write_tree
from e4_ros.evaluation.comparison import job
from e4_ros.evaluation.comparison.host import Host
from e4_ros.evaluation.sources import open_source
from e4_ros.perception.setup import EngineOptions

needs_fuse = pytest.mark.skipif(mount_problem() is not None, reason=str(mount_problem()))


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Twelve frames in which a bright square moves."""
    folder = tmp_path / 'frames'
    folder.mkdir()
    for i in range(12):
        frame = np.full((120, 160, 3), 60, np.uint8)
        frame[40:90, 10 + 8 * i : 40 + 8 * i] = 220
        cv2.imwrite(str(folder / f'{i:03d}.png'), frame)
    return folder


def _config(root: Path, tmp_path: Path) -> DaemonConfig:
    places = {'state_dir': tmp_path / 'state', 'socket_path': tmp_path / 'helper.sock'}
    return DaemonConfig.model_validate({'root': root, **places})


@pytest.fixture
def board(tmp_path: Path) -> Iterator[DaemonConfig]:
    with mounted('jetson_orin_nano', tmp_path / 'root') as root:
        yield _config(root, tmp_path)


@needs_fuse
def test_a_mounted_board_is_measured_and_its_clocks_are_given_back_after_every_block(
    board: DaemonConfig, footage: Path
) -> None:
    options = job.CompareOptions(
        EngineOptions(threads=1), board, minutes=0.12, block_s=0.8, battery_wh=50.0
    )
    seen, clocked = set(), set()

    def look(seconds: float, words: str) -> None:
        seen.add(words)
        if DvfsClient(board.socket_path).status()['leases']:
            clocked.add(words.rpartition(': ')[2])

    with Daemon(board):
        found = job.compare(options, open_source(str(footage)), look)
        assert not DvfsClient(board.socket_path).status()['leases']
    assert clocked == {'clocks', 'both'}
    assert found.rounds == 2
    assert found.facts.measured
    assert found.facts.meter == 'ina'
    assert not found.facts.no_clocks
    assert set(found.facts.plans) == {'clocks', 'both'}
    blocks = found.measured.blocks
    exact_w = np.mean([block.exact_w for block in blocks])
    assert np.mean([block.power_w for block in blocks]) == pytest.approx(exact_w, rel=0.1)
    assert all(block.before_c for block in blocks)
    saved = found.best.saved
    assert saved is not None
    assert found.best.exact == pytest.approx(saved.value, abs=0.1)
    assert found.runtime is not None
    assert 'round 2 of 2: stock' in seen


def test_without_a_meter_it_says_modelled_and_refuses_to_call_it_a_saving(
    tmp_path: Path, footage: Path
) -> None:
    root = write_tree('jetson_orin_nano', tmp_path / 'root')
    places = [
        '--socket-path',
        str(tmp_path / 'helper.sock'),
        '--state-dir',
        str(tmp_path / 'state'),
    ]
    result = CliRunner().invoke(
        app,
        [
            *('compare', str(footage), '--minutes', '0.05', '--block-s', '0.6', '--threads', '1'),
            *('--sysfs-root', str(root), '--out', str(tmp_path / 'out'), *places),
        ],
    )
    assert result.exit_code == 1
    assert 'modelled, and no saving' in ' '.join(result.output.split())
    written = json.loads((tmp_path / 'out' / 'compare.json').read_text())
    assert written['source'] == 'modelled'
    assert written['saving'] is None
    assert [arm['name'] for arm in written['arms']] == ['stock', 'ladder', 'clocks', 'both']
    page = (tmp_path / 'out' / 'compare.html').read_text()
    assert 'no saving that anybody has measured' in page
    assert 'not measured' in page


def test_clocks_that_somebody_else_holds_are_not_measured_against(tmp_path: Path) -> None:
    config = _config(write_tree('jetson_orin_nano', tmp_path / 'root'), tmp_path)
    held = pytest.raises(OSError, match=r'perception.* holds the clocks')
    with Daemon(config), leased(config, 'perception'), held:
        Host(config)


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path, footage: Path) -> None:
    result = CliRunner().invoke(
        app, ['compare', str(footage), '--sysfs-root', str(tmp_path / 'none')]
    )
    assert result.exit_code == 2


def test_a_board_device_is_for_a_virtual_board(tmp_path: Path, footage: Path) -> None:
    (tmp_path / 'real').mkdir()
    options = job.CompareOptions(
        EngineOptions(), _config(tmp_path / 'real', tmp_path), board_device='cuda'
    )
    with pytest.raises(ValueError, match='--board-device is for a virtual board'):
        job.compare(options, open_source(str(footage)), lambda seconds, words: None)
