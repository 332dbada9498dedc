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

"""`e4 controllers`, and `e4 run` under some of them."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.evaluation.job import Job, JobOptions
from e4_ros.evaluation.sources import open_source
from e4_ros.perception.controllers import WITH_EXITS, controllers


def e4(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)), env={'COLUMNS': '200'})


def test_every_controller_is_listed_with_a_line():
    result = e4('controllers')
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line for line in result.output.splitlines() if line}
    for name, spec in controllers().items():
        if not name.endswith(WITH_EXITS):
            assert lines[name].endswith(spec.description)
            assert (' sim ' in lines[name]) is not spec.live


@pytest.mark.parametrize(
    ('name', 'exits', 'clock'),
    [('fixed:min', ['full'], 306_000_000), ('fixed:gpu=510MHz+exits', None, 510_000_000)],
)
def test_a_run_under_a_fixed_point(name, exits, clock):
    job = Job(JobOptions(controller=name, board='jetson_orin_nano', threads=1, baseline=False))
    assert exits is None or list(job.engine.paths) == exits
    assert (exits is None) is (len(job.engine.paths) > 1)
    for record in job.run(open_source('bikes'), limit=3):
        assert {point['gpu'] for point in record.points} == {clock}


@pytest.mark.parametrize(
    ('name', 'says'),
    [
        ('guess', "there is no controller 'guess'"),
        ('schedutil', 'runs in the simulator only'),
        ('ztt', 'runs in the simulator only'),
        ('fixed:gpu=5Hz', 'gpu has no clock 5 Hz'),
    ],
)
def test_a_controller_that_cannot_run_here_is_refused(tmp_path, name, says):
    result = e4('run', 'bikes', '--controller', name, '--frames', 1, '--out', tmp_path)
    assert result.exit_code != 0
    # A wrong option is shown in a frame, whose lines break anywhere.
    assert says in ' '.join(result.output.replace('│', ' ').split())
