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

"""Discovery, meters and daemon on machines as public listings show them."""

from __future__ import annotations

import pytest

from e4_ros.benchmarks.boards import holes, listing, trial


@pytest.mark.parametrize('name', listing.names())
def test_a_machine_is_found_as_listed_and_left_as_it_was(name: str) -> None:
    assert trial.problems(listing.load(name)) == []


@pytest.mark.parametrize('name', listing.names())
def test_every_block_of_a_listing_names_its_public_source(name: str) -> None:
    shown = listing.load(name)
    assert all(block.source.strip() for block in shown.blocks)
    assert shown.title


def test_what_is_not_as_listed_is_a_problem() -> None:
    shown = listing.load('orin_nano_super_maxn')
    cpu = shown.expect.domains['cpu'].model_copy(update={'points': 3, 'writes': 1})
    expect = shown.expect.model_copy(
        update={
            'board': 'jetson_tx2',
            'mode': '',
            'watts': 9.0,
            'domains': {'cpu': cpu, 'npu': cpu},
        }
    )
    problems = trial.problems(shown.model_copy(update={'expect': expect}))
    for words in ("'jetson_tx2'", 'power mode', 'domains', '22, listed 3', '9.000 W', '2 writes'):
        assert any(words in problem for problem in problems), words


@pytest.mark.parametrize('name', listing.names())
def test_a_listing_with_holes_is_answered_without_an_error(name: str) -> None:
    shown = listing.load(name)
    assert holes.problems(shown, seed=len(name), lease=False) == []


@pytest.mark.parametrize('name', ['nano_jp4_maxn', 'agx_xavier_jp5_30w'])
def test_a_lease_on_a_machine_with_holes_is_refused_in_words_or_given_back(name: str) -> None:
    shown = listing.load(name)
    for seed in range(3):
        assert holes.problems(shown, seed) == []
