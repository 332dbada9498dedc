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

import json

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.energy.board_model import BoardModel, SegmentWork, works_of
from e4_ros.energy.boards import load_board
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.exit_shares import read_exit_shares
from e4_ros.profiling.planning.objective import PlanningError, SwitchCost, make_problem
from e4_ros.profiling.profile import Profile, run_profile
from e4_ros.profiling.report.page import write_page

WORKS = [
    SegmentWork('prepare', 3e6, 2e6, 10, 'cpu'),
    SegmentWork('stage0', 300e6, 40e6, 30),
    SegmentWork('stage1', 600e6, 30e6, 40),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}
SHARES = {'temporal': 7, 'exit1': 1, 'full': 2}


@pytest.fixture(scope='module')
def found() -> Profile:
    board = load_board('jetson_nano')
    model = BoardModel(board)
    table = CostTable.from_board(model, WORKS, 'net')
    switch = SwitchCost.of_board(board, table.domains)
    problem = make_problem(table, PATHS, SHARES, 0, switch)
    return run_profile(problem, PATHS, SHARES, model.default_point())


def test_yardsticks_are_ordered(found):
    assert found.exact is not None
    assert found.exact.best.energy_j <= found.best.energy_j * (1 + 1e-9)
    assert found.best.energy_j <= found.fixed.energy_j <= found.default[1]
    assert found.ideal.energy_j <= found.best.energy_j * (1 + 1e-6)
    assert 0 <= found.gap_percent <= 1.0


def test_the_json_holds_every_cell_tried(found):
    data = json.loads(json.dumps(found.as_dict()))
    assert len(data['tried']) == found.descent.cells.sum()
    assert data['coordinate_descent']['cells_share'] == pytest.approx(
        len(data['tried']) / (3 * 180)
    )
    one = data['tried'][0]
    assert one['energy_j'] > 0
    assert set(one['point']) == {'cpu', 'gpu'}


def test_the_page_is_whole_and_needs_no_network(found, tmp_path):
    write_page(found, tmp_path / 'page.html')
    text = (tmp_path / 'page.html').read_text()
    assert 'net on jetson_nano' in text
    assert text.count('class="plotly-graph-div"') == 3
    assert '<script src=' not in text


def test_progress_ends_at_one(found):
    told: list[tuple[str, float, float]] = []
    run_profile(
        found.problem,
        PATHS,
        SHARES,
        {'cpu': 1, 'gpu': 1},
        yardstick=False,
        on_progress=lambda *args: told.append(args),
    )
    shares = [share for _, share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('summary.json', '{"exits": {"temporal": 2, "full": 1}, "board": "x"}'),
        ('shares.yaml', 'temporal: 2\nfull: 1\n'),
        ('detections.jsonl', '{"exit": "temporal"}\n{"exit": "full"}\n\n{"exit": "temporal"}\n'),
    ],
)
def test_exit_shares_are_read_from_what_a_run_leaves(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_exit_shares(tmp_path / name) == {'temporal': 2, 'full': 1}


def test_a_closer_look_counts_as_the_whole_network_whose_way_it_goes(tmp_path):
    (tmp_path / 'shares.yaml').write_text('track: 5\ncloser: 2\nfull: 1\n')
    assert read_exit_shares(tmp_path / 'shares.yaml') == {'track': 5, 'full': 3}


@pytest.mark.parametrize(
    ('name', 'text'),
    [('a.json', '[1, 2]'), ('a.yaml', 'full: much'), ('a.jsonl', '{"frame": 1}'), ('a.yaml', '')],
)
def test_a_file_without_exits_says_what_is_expected(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(PlanningError, match='expected a summary'):
        read_exit_shares(tmp_path / name)


def test_the_command_writes_plan_json_and_page(tmp_path):
    shares = tmp_path / 'shares.yaml'
    shares.write_text('track: 0.6\nfull: 0.4\n')
    out = tmp_path / 'out'
    result = CliRunner().invoke(
        app,
        ['profile', '--board', 'jetson_tx2', '--exit-shares', str(shares), '--out', str(out)],
    )
    assert result.exit_code == 0, result.output
    plan = FrequencyPlan.load(out / 'plan.yaml')
    assert plan.board == 'jetson_tx2'
    assert json.loads((out / 'profile.json').read_text())['gap_percent'] <= 1.0
    assert (out / 'profile.html').stat().st_size > 100_000


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('a.yaml', '{}'),
        ('summary.json', '{"exits": {}}'),
        ('a.jsonl', ''),
        ('b.yaml', 'full: 0\ntemporal: 0\n'),
    ],
)
def test_an_empty_exit_distribution_is_not_taken_for_an_even_one(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(PlanningError, match='no frame took any exit'):
        read_exit_shares(tmp_path / name)


def spoiled(table: dict, fault: str) -> dict:
    if fault == 'holes':
        table['latency_s'][0][3] = None
    elif fault == 'model':
        table['segments'][-1] = 'another'
    elif fault == 'axes':
        table['axes_hz'][0] = table['axes_hz'][0][::-1]
    elif fault == 'shape':
        table['energy_j'][0].pop()
    elif fault == 'key':
        del table['domains']
    return table


@pytest.mark.parametrize(
    ('fault', 'complaint'),
    [
        ('holes', '1 holes among'),
        ('model', 'measure it again'),
        ('axes', 'ascending'),
        ('shape', 'not a cost table'),
        ('key', 'not a cost table'),
    ],
)
def test_a_table_that_does_not_fit_says_why(tmp_path, fault, complaint):
    built = set_up(EngineOptions('pedestrian_ssdlite', threads=1)).engine
    works = works_of(built.segments)
    table = CostTable.from_board(BoardModel(load_board('jetson_nano')), works, built.model.name)
    path = tmp_path / 'table.json'
    path.write_text(json.dumps(spoiled(table.as_dict(), fault)))
    arguments = ['profile', '--table', str(path), '--out', str(tmp_path / 'out')]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert complaint in ' '.join(result.output.split())
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('arguments', 'complaint'),
    [
        (['--deadline-s', '0.0005'], 'fastest needs'),
        (['--board', 'jetson_banana'], 'unknown board'),
        (['--plan-domains', 'cpu,npu'], 'no domain npu'),
        (['--exit-shares', '/nonexistent.json'], 'No such file'),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, arguments, complaint):
    result = CliRunner().invoke(app, ['profile', '--out', str(tmp_path), *arguments])
    assert result.exit_code == 2
    assert complaint in ' '.join(result.output.split())
    assert not list(tmp_path.iterdir())
