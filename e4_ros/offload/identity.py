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

"""What a network is to somebody far away: one hash that says whether both compute the same."""

from __future__ import annotations

import hashlib
import json

from e4_ros.vision.models.described import DescribedModel


def network_hash(model: DescribedModel, weights: str) -> str:
    """Hash of all that must be equal for two machines to give the same answer to a frame.

    Where the network is cut, and which exits it has, does not matter.

    Args:
        model: what happens before and after the network.
        weights: hash of its weights: `StagedNetwork.weights`, `Origin.network`.
    """
    about = {
        'weights': weights,
        'task': model.task,
        'class_names': list(model.class_names),
        'labels': list(model.labels),
        'preprocessing': model.preprocessing.model_dump(mode='json'),
        'decoder': model.decoder.model_dump(mode='json'),
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
