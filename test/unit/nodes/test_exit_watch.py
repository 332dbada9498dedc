"""The exits are measured once, on the first image of the camera, and audited from then on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')

from e4_ros.nodes.exit_watch import ExitWatch
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.setup import EngineOptions, set_up

FRAME = np.zeros((270, 480, 3), np.uint8)  # not the size of the warm-up


@pytest.fixture
def perceiver():
    return Perceiver(set_up(EngineOptions(threads=1, audit_share=1.0, tracks=False)).engine)


def watch(perceiver, check_pay):
    told: list[str] = []
    logger = SimpleNamespace(info=told.append, warning=told.append)
    node = SimpleNamespace(get_logger=lambda: logger)
    return ExitWatch(node, perceiver, 'bundle', check_pay), told


def test_the_first_image_is_measured_after_its_answer(perceiver):
    exits, told = watch(perceiver, check_pay=True)
    assert perceiver.engine.economics is None
    assert told == []
    record = perceiver.process(FRAME, 0.0, 0)
    exits.audit(FRAME, record)
    economics = perceiver.engine.economics
    assert economics is not None
    assert told == list(economics.verdicts.values())
    assert {'temporal', 'exit1'} == set(economics.costs)
    exits.audit(FRAME, perceiver.process(FRAME, 0.1, 1))
    assert perceiver.engine.economics is economics, 'measured again'


def test_nothing_is_measured_where_that_is_not_wanted(perceiver):
    exits, told = watch(perceiver, check_pay=False)
    exits.audit(FRAME, perceiver.process(FRAME, 0.0, 0))
    assert perceiver.engine.economics is None
    assert told == []
