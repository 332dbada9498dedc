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

"""`e4 build --device`: the bundle is tried where it is to run."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.vision.runtime.devices import DEVICES, DeviceError, offered

MODEL = 'pedestrian_ssdlite'


@pytest.fixture
def run():
    return CliRunner().invoke


def test_a_bundle_says_the_device_that_it_was_tried_on(run, tmp_path):
    done = run(app, ['build', MODEL, '--device', 'cpu', '--out', str(tmp_path / 'bundle')])
    assert done.exit_code == 0, done.output
    assert 'runs on cpu' in done.output


def test_a_device_that_is_not_here_is_refused_before_anything_is_built(run, tmp_path):
    missing = next(device for device in DEVICES.values() if device not in offered())
    done = run(app, ['build', MODEL, '--device', missing.name, '--out', str(tmp_path / 'bundle')])
    assert isinstance(done.exception, DeviceError) or missing.provider in done.output
    assert not (tmp_path / 'bundle').exists()
