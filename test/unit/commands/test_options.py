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

"""One vocabulary: options, node parameters and launch arguments that mean the same are the same."""

import re
import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from e4_ros.bringup.bringups import BRINGUPS
from e4_ros.commands.app import app
from e4_ros.commands.options import SHARED

OTHER_DEFAULTS = {
    ('calibrate', 'risk'): 'what learnt exits may cost; tracks have a risk of their own',
    ('run', 'ring_mb'): 'whoever names a ring wants one',
    ('run', 'ring_share'): 'footage is shorter than a drive',
    ('run', 'board'): 'the board that is modelled; a daemon has the clocks of its machine',
    ('profile', 'board'): 'likewise',
    ('profile', 'period_ms'): 'beside a command is no telemetry that shows a pace',
    ('calibrate', 'model'): 'what `e4 fit` writes, for the shipped bundle is read-only',
    ('versions', 'board'): 'the board whose joules are modelled',
    ('versions', 'frames'): 'F1 of so many tells versions apart, and the teacher looks slowly',
    ('precision', 'frames'): 'ranges of activations need no more',
    ('reproduce', 'frames'): 'the record that ships has as many',
    ('fit', 'model'): 'a network of the zoo, of which there is no bundle yet',
    ('train', 'model'): 'likewise',
    ('reproduce', 'model'): 'a bundle for either network, or those that ship',
    ('reproduce', 'source'): 'empty for the record that ships',
    ('build', 'device'): 'empty to load it nowhere',
    ('profile', 'plan_domains'): 'empty where a measured table brings its own',
    ('compare', 'plan_domains'): 'the same, as one text',
}
"""Where a command has another default, or other words, than the node, and why."""

OLD_NAMES = {
    'plan', 'root', 'socket', 'topic', 'domains', 'deadline-ms', 'policy', 'max-frames',
}  # fmt: skip


def leaves(command, path=()):
    children = getattr(command, 'commands', None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from leaves(child, (*path, name))


COMMANDS = {' '.join(path): command for path, command in leaves(get_command(app))}


def options(path):
    for parameter in COMMANDS[path].params:
        for spelling in parameter.opts:
            if spelling.startswith('--') and spelling != '--help':
                yield spelling[2:].replace('-', '_'), parameter


@pytest.mark.parametrize(
    'path', [path for path in COMMANDS if not path.startswith(('up', 'bench'))]
)
def test_an_option_is_what_the_node_parameter_of_its_name_is(path):
    for name, option in options(path):
        if name not in SHARED or (path, name) in OTHER_DEFAULTS:
            continue
        spec = SHARED[name]
        assert option.help.startswith(spec.description), (path, name)
        given = '' if option.default is None else option.default
        unset = '' if spec.default == [''] else spec.default
        assert str(given) == str(unset), (path, name)


def test_exceptions_are_still_exceptions():
    for path, name in OTHER_DEFAULTS:
        assert name in dict(options(path))
        assert name in SHARED


@pytest.mark.parametrize('path', COMMANDS)
def test_an_option_is_spelled_like_its_parameter_and_has_no_name_of_old(path):
    for name, option in options(path):
        assert re.fullmatch('[a-z][a-z0-9_]*', name)
        assert name.replace('_', '-') not in OLD_NAMES, path
        assert option.help, f'e4 {path} --{name} has no words'
        if name in SHARED:
            assert option.name == name, f'e4 {path}: {option.name} is spelled {name}'


@pytest.mark.parametrize('bringup', BRINGUPS.values(), ids=BRINGUPS)
def test_launch_arguments_are_the_options_of_e4_up(bringup):
    arguments = {argument.name for argument in bringup.all_arguments}
    assert {name for name, _ in options(f'up {bringup.name}')} == arguments


@pytest.mark.parametrize('path', COMMANDS)
def test_every_command_shows_an_example(path):
    told = CliRunner().invoke(app, [*path.split(), '--help'], env={'COLUMNS': '200'}).output
    after_usage = told[told.index('Usage:') :].split('\n', 1)[1]
    assert f'e4 {path}' in after_usage, told


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['run', 'bikes', '--precision', 'int4'], 'precision is one of fp32, fp16, int8'),
        (['run', 'bikes', '--device', 'tpu'], 'device is one of auto'),
        (['run', 'bikes', '--runtime', 'jax'], 'runtime is one of onnxruntime, torch'),
        (['run', 'bikes', '--controller', 'magic'], "there is no controller 'magic'"),
        (['run', 'bikes', '--min-score', '2'], "'--min-score'"),
        (['profile', '--deadline-s', '61'], "'--deadline-s'"),
        (['profile', '--period-ms', '3600001'], "'--period-ms'"),
    ],
)
def test_a_value_that_a_node_refuses_is_refused(words, said):
    result = CliRunner().invoke(app, words, env={'COLUMNS': '300'})
    assert result.exit_code == 2
    assert said in ' '.join(result.stderr.split())


def test_help_is_quick_for_it_loads_nothing_that_runs_networks():
    program = (
        'import sys; import e4_ros.commands.app; '
        'print({"torch", "onnx", "onnxruntime", "scipy", "av"} & set(sys.modules))'
    )
    told = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert told.stdout == 'set()\n', told.stderr
