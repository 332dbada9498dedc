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

import pytest

from e4_ros.offload.cuts import best_cuts, named_cuts, offload_cuts
from e4_ros.offload.server.bundle_services import cuts_of_bundle, own_cuts, own_services
from e4_ros.vision.bundle import shipped_bundle
from e4_ros.vision.bundle.folder import write_bundle
from e4_ros.vision.networks.from_bundle import reopened
from e4_ros.vision.networks.to_bundle import manifest_of
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.staged_network import StagedNetwork


@pytest.fixture(scope='module')
def every(model):
    return offload_cuts(model.network)


def test_a_cut_sends_what_its_tail_reads(model, every):
    several = max(every, key=lambda cut: len(cut.tensors))
    assert len(several.tensors) > 1
    for cut in (every[0], several, every[-1]):
        tail = model.network.stages([cut.cut])[1].program
        assert dict(cut.tensors) == {n: tuple(s) for n, s in tail.inputs.items()}
        assert next(iter(cut.tensors)) == cut.cut


def test_the_best_cuts_trade_work_for_bytes(every):
    best = best_cuts(every)
    assert 1 < len(best) < len(every)
    values = [cut.values for cut in best]
    assert values == sorted(values, reverse=True)
    assert [cut.share for cut in best] == sorted(cut.share for cut in best)
    for cut in every:
        if cut.values <= best[0].values:
            assert any(b.share <= cut.share and b.values <= cut.values for b in best)


def test_fewer_are_kept_where_fewer_are_wanted(every):
    best = best_cuts(every)
    assert best_cuts(every, most=2)[0] == best[0]
    assert len(best_cuts(every, most=2)) == 2


def test_a_cut_that_is_none_is_refused(every):
    with pytest.raises(ValueError, match='cannot be cut after'):
        named_cuts(every, ['nowhere'])


def test_where_a_bundle_is_cut_for_its_exits_features_can_be_sent(model, every, tmp_path):
    folder = shipped_bundle('pedestrian_ssdlite')
    assert own_cuts(folder) == []
    names = [cut.cut for cut in cuts_of_bundle(folder, model, ['best'])]
    assert names == [cut.cut for cut in best_cuts(every)]
    own = [every[9].cut, every[-1].cut]
    assert not set(own) & set(names)
    cut, files = StagedNetwork(model, model.network.stages(own)), {}
    write_bundle(tmp_path / 'cut', manifest_of(model, cut, files), files)
    assert own_cuts(tmp_path / 'cut') == own
    again = reopened(tmp_path / 'cut')
    offered = {cut.cut: cut for cut in cuts_of_bundle(tmp_path / 'cut', again, ['best'])}
    assert set(offered) >= set(own)
    assert offered[own[0]].tensors == every[9].tensors
    assert again.network.fingerprint == model.network.fingerprint


def test_services_that_a_bundle_does_not_give_are_refused():
    with pytest.raises(ValueError, match='teacher'):
        own_services(shipped_bundle('pedestrian_ssdlite'), OnnxRuntime(1), ['teacher'])
