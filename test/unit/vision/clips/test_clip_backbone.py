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

from dataclasses import dataclass

import numpy as np
import torch

from e4_ros.vision.clips.features import FeatureSet, FeatureStore


def test_motion_is_seen_through_the_backbone(backbone, frames):
    """The texture goes right by 16 of 240 pixels: 1.9 of 28 cells, less what the crop enlarges."""
    motion = backbone.see(frames).motion
    assert motion[1:, 0, 6:-6, 6:-6].median() > 0.5
    assert motion[0].abs().max() == 0, 'the first frame has moved from nowhere'


def test_its_shape_and_cost_are_those_of_the_network(backbone):
    assert backbone.early[1:] == (28, 28)
    assert backbone.deep_size == 576
    assert 50e6 < backbone.macs < 62e6, 'MobileNetV3-Small has 57 million'


@dataclass
class _Clip:
    key: str
    label: int
    images: np.ndarray | None
    reads: int = 0

    def frames(self, count: int) -> np.ndarray:
        self.reads += 1
        if self.images is None:
            raise ValueError(f'{self.key} is broken')
        return self.images[:count]


def test_features_are_computed_once_and_broken_clips_are_named(backbone, frames, tmp_path):
    good, broken = _Clip('good', 1, frames), _Clip('bad', 0, None)
    store = FeatureStore(tmp_path, backbone, 4)
    assert store.compute([good, broken]) == ['bad is broken']
    assert FeatureStore(tmp_path, backbone, 4).compute([good]) == []
    assert (good.reads, store.has(good), store.has(broken)) == (1, True, False)
    deep, motion, label = FeatureSet(store, [good])[0]
    seen = backbone.see(frames)
    torch.testing.assert_close(deep, seen.deep, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(motion, seen.motion, rtol=1e-2, atol=1e-2)
    assert int(label) == 1


def test_features_for_other_numbers_of_frames_are_kept_apart(backbone, frames, tmp_path):
    clip = _Clip('clip', 0, frames)
    FeatureStore(tmp_path, backbone, 4).compute([clip])
    assert not FeatureStore(tmp_path, backbone, 3).has(clip)
