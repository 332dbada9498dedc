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

"""Exits that are not worth more than the tracks alone are switched off, and that is said."""

import shutil
from itertools import islice

import pytest

from e4_ros.evaluation.against_ladder import AgainstLadder, Played, keep_if_better
from e4_ros.evaluation.sources import open_source
from e4_ros.vision.bundle.folder import read_manifest

BARE = Played(0.7, 0.005)


@pytest.mark.parametrize(
    ('fitted', 'better'),
    [
        (Played(0.9, 0.004), True),
        (Played(0.9, 0.00505), True),  # as a clock measures equal costs
        (Played(0.9, 0.006), False),
        (Played(0.7, 0.004), False),
        (Played(None, 0.004), False),
    ],
)
def test_only_a_better_answer_at_no_higher_cost_pays(fitted, better):
    found = AgainstLadder(60, fitted, BARE)
    assert found.better == better
    assert found.words.startswith('the fitted exits pay') == better
    assert ('o exit is switched on' in found.words) != better


def test_exits_that_were_never_trained_are_switched_off(exits_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))
    bundle = tmp_path / 'bundle'
    shutil.copytree(exits_bundle, bundle)
    clip = list(islice(open_source('bikes'), 40))
    assert read_manifest(bundle).thresholds
    found = keep_if_better(bundle, [clip], 0.2)
    assert found.frames == 8
    assert not found.better
    assert read_manifest(bundle).thresholds == {}
