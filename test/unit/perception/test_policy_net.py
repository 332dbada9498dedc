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

from itertools import pairwise

import numpy as np
import pytest

from e4_ros.perception.controllers.policy_net import PolicyError, PolicyNet


def net(branches=(2, 3), seed=0):
    rng = np.random.default_rng(seed)
    sizes = [4, 8, sum(branches)]
    weights = [rng.normal(size=(b, a)).astype(np.float32) for a, b in pairwise(sizes)]
    biases = [rng.normal(size=b).astype(np.float32) for b in sizes[1:]]
    return PolicyNet(weights, biases, branches, np.zeros(4, np.float32), np.ones(4, np.float32), 7)


def test_a_policy_that_was_kept_chooses_the_same(tmp_path):
    made = net()
    made.save(tmp_path / 'policy.npz')
    found = PolicyNet.load(tmp_path / 'policy.npz')
    for state in np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32):
        assert found.choose(state) == made.choose(state)
    assert found.frames == 7


def test_it_computes_what_torch_computes():
    torch = pytest.importorskip('torch')
    made = net()
    layers = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 5))
    for layer, weight, bias in zip([layers[0], layers[2]], made.weights, made.biases, strict=True):
        layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
    state = np.array([0.3, -1, 2, 0.1], np.float32)
    with torch.no_grad():
        wanted = layers(torch.tensor(state)).numpy()
    np.testing.assert_allclose(np.concatenate(made.values(state)), wanted, rtol=1e-5)


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04', b'{}', b'\x80\x04N.'])
def test_a_file_that_holds_no_policy_is_refused(tmp_path, content):
    (tmp_path / 'policy.npz').write_bytes(content)
    with pytest.raises(PolicyError):
        PolicyNet.load(tmp_path / 'policy.npz')


def test_a_pickle_in_it_is_not_opened(tmp_path):
    np.savez(tmp_path / 'policy.npz', weight0=np.array([object()]), bias0=np.zeros(1))
    with pytest.raises(PolicyError):
        PolicyNet.load(tmp_path / 'policy.npz')


def test_layers_that_do_not_fit_are_refused():
    made = net()
    with pytest.raises(PolicyError, match='choices'):
        PolicyNet(made.weights, made.biases, (2, 2), made.mean, made.scale)
    with pytest.raises(PolicyError, match='follow'):
        PolicyNet(made.weights[::-1], made.biases[::-1], (2, 3), made.mean, made.scale)
    with pytest.raises(PolicyError, match='none'):
        PolicyNet(made.weights, made.biases, (2, 3), made.mean * np.nan, made.scale)
