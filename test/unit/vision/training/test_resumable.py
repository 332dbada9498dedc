from __future__ import annotations

import pytest
import torch

from e4_ros.vision.training.resumable import WorkFile, chosen_once


@pytest.fixture
def net():
    torch.manual_seed(0)
    return torch.nn.Linear(2, 2)


def test_what_was_kept_comes_back(tmp_path, net):
    WorkFile(tmp_path / 'deep' / 'x.pt', net=net).keep(7)
    other = torch.nn.Linear(2, 2)
    assert WorkFile(tmp_path / 'deep' / 'x.pt', net=other).resume() == 7
    assert torch.equal(other.weight, net.weight)
    assert [p.name for p in (tmp_path / 'deep').iterdir()] == ['x.pt']


@pytest.mark.parametrize('content', [b'', b'rubbish', b'PK\x03\x04'])
def test_damaged_file_begins_anew(tmp_path, net, content):
    before = net.weight.clone()
    (tmp_path / 'x.pt').write_bytes(content)
    assert WorkFile(tmp_path / 'x.pt', net=net).resume() == 0
    assert torch.equal(net.weight, before)


def test_without_a_path_nothing_is_kept(net):
    WorkFile(None, net=net).keep(3)
    assert WorkFile(None, net=net).resume() == 0


@pytest.mark.parametrize('content', ['', '{"a": 1}', '["a"]', 'no json'])
def test_choice_is_made_once_and_anew_where_its_file_is_damaged(tmp_path, content):
    file = tmp_path / 'work' / 'cuts.json'
    assert chosen_once(file, ['a', 'b']) == ['a', 'b']
    assert chosen_once(file, ['c', 'd']) == ['a', 'b']
    file.write_text(content)
    assert chosen_once(file, ['c', 'd']) == ['c', 'd']
    assert chosen_once(file, ['a', 'b']) == ['c', 'd']
    assert [path.name for path in file.parent.iterdir()] == ['cuts.json']
