from __future__ import annotations

import pytest
import torch

from e4_ros.vision.resume import WorkFile


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
