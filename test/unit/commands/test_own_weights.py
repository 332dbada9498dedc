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

"""Networks by name with weights of one's own, as commands take them."""

import pytest
import torch
import torchvision.models as tv
import typer
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.commands.own_weights import load_own, size_of
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.model import ModelError
from e4_ros.vision.networks.to_bundle import build_plain
from e4_ros.vision.zoo import load_model

NAME = 'torchvision/squeezenet1_1'


@pytest.fixture
def mine(tmp_path):
    """Weights of three classes as a training script leaves them, and a label file."""
    module = tv.squeezenet1_1(num_classes=3)
    torch.save({'model': module.state_dict(), 'epoch': 9}, tmp_path / 'best.pth')
    (tmp_path / 'labels.txt').write_text('dock\ndoor\nshelf\n')
    return tmp_path / 'best.pth', tmp_path / 'labels.txt'


def test_a_bundle_of_own_weights_carries_its_network_along(mine, tmp_path):
    weights, names = mine
    model = load_own(NAME, weights, names, None)
    build_plain(model, tmp_path / 'bundle')
    weights.unlink()
    names.unlink()
    again = load_model(str(tmp_path / 'bundle'))
    assert tuple(again.class_names) == ('dock', 'door', 'shelf')
    assert again.network.fingerprint == model.network.fingerprint
    assert [cut.node for cut in again.network.cuts()] == [c.node for c in model.network.cuts()]
    manifest = load_bundle(tmp_path / 'bundle').manifest
    assert (manifest.model, manifest.origin.file) == (NAME, 'best.pth')


def test_weights_without_the_names_of_their_classes_say_both_numbers(mine):
    with pytest.raises(ModelError, match='tells 3 classes apart, but there are 1000 names'):
        load_own(NAME, mine[0], None, None)


def test_names_of_pretrained_weights_cannot_be_changed(mine):
    with pytest.raises(ModelError, match='give your own with --weights FILE'):
        load_own(NAME, None, mine[1], None)


def test_fit_takes_own_weights_before_it_looks_at_footage(mine, tmp_path):
    torch.save(tv.squeezenet1_1(num_classes=3), tmp_path / 'whole.pt')
    arguments = ['fit', 'vtest', '--model', NAME, '--out', str(tmp_path / 'out')]
    result = CliRunner().invoke(
        app, [*arguments, '--weights', str(tmp_path / 'whole.pt'), '--names', str(mine[1])]
    )
    assert result.exit_code == 2
    assert 'torch.save(model.state_dict()' in result.output


@pytest.mark.parametrize(
    ('text', 'size'), [('', None), ('640', (640, 640)), ('480x640', (480, 640)), ('3×4', (3, 4))]
)
def test_a_size_is_one_number_or_height_and_width(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize('text', ['big', '640x', '1x2x3', '-640', '6.4'])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(typer.BadParameter, match='is no size'):
        size_of(text)
