"""Discovery, meters and daemon on machines as public listings show them."""

from __future__ import annotations

import pytest

from e4_ros.benchmarks.boards import listing, trial


@pytest.mark.parametrize('name', listing.names())
def test_a_machine_is_found_as_listed_and_left_as_it_was(name: str) -> None:
    assert trial.problems(listing.load(name)) == []


@pytest.mark.parametrize('name', listing.names())
def test_every_block_of_a_listing_names_its_public_source(name: str) -> None:
    assert all(block.source.strip() for block in listing.load(name).blocks)
