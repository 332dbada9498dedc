from __future__ import annotations

import numpy as np
import pytest

from e4_ros.benchmarks.exits.timing import early_share, timed
from e4_ros.benchmarks.exits.ways import EveryKth, Said
from e4_ros.vision.detections import Detections

FRAME = np.zeros((8, 8, 3), np.uint8)
CLIP = [(index / 10, FRAME) for index in range(8)]


class Scripted:
    """Takes the seconds it is told, pass after pass."""

    def __init__(self, *passes: list[float], log: list[str] | None = None, name: str = ''):
        self.passes, self.number, self.log, self.name = passes, -1, log, name

    def reset(self) -> None:
        self.number, self.index = self.number + 1, -1

    def detections(self, frame: np.ndarray, stamp_s: float) -> Said:
        self.index += 1
        if self.log is not None:
            self.log.append(self.name)
        return Said(Detections.empty(), self.passes[self.number][self.index], f'pass {self.number}')


def test_a_slow_moment_of_the_machine_is_forgotten():
    slow = [1.0] * 8
    slow[3] = 50.0
    way = Scripted([1.0] * 8, slow, [1.0] * 8)
    peer = Scripted([4.0, 4.0], [4.0, 90.0], [4.0, 4.0])
    found = timed({('way', 0.5): way}, peer, CLIP, 3, lambda done, total: None)['way', 0.5]
    assert found.mean_s == 1.0
    assert found.peer_s == 4.0
    assert found.speedup == 4.0


def test_the_mean_keeps_frames_that_are_always_slow():
    seconds = [1.0] * 7 + [9.0]
    way, peer = Scripted(*[seconds] * 3), Scripted(*[[4.0] * 2] * 3)
    found = timed({('way', 0.5): way}, peer, CLIP, 3, lambda done, total: None)['way', 0.5]
    assert found.mean_s == 2.0


def test_answers_are_those_of_the_first_pass():
    way, peer = Scripted(*[[1.0] * 8] * 2), Scripted(*[[4.0] * 2] * 2)
    told = []
    found = timed({('way', 0.5): way}, peer, CLIP, 2, lambda *of: told.append(of))['way', 0.5]
    assert [said.exit for said in found.said] == ['pass 0'] * 8
    assert told == [(1, 2), (2, 2)]


def test_who_goes_first_alternates():
    log: list[str] = []
    way = Scripted([1.0] * 8, log=log, name='way')
    peer = Scripted([4.0] * 2, log=log, name='peer')
    timed({('way', 0.5): way}, peer, CLIP, 1, lambda done, total: None)
    assert log == ['peer', *['way'] * 5, 'peer', *['way'] * 3]


def test_early_share_counts_what_the_full_network_did_not_answer():
    said = [Said(Detections.empty(), 1.0, name) for name in ('full', 'temporal', 'exit1', 'full')]
    assert early_share(said, 'full') == 0.5


class Walker:
    """A full network that sees a box move 10 pixels to the right with each frame."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def process_full(self, frame: np.ndarray) -> Said:
        left = 10.0 * int(frame[0, 0, 0])
        self.asked.append(int(frame[0, 0, 0]))
        return Said(
            Detections.of(np.array([[left, 0, left + 100, 50]]), np.array([0.9])), 0.0, 'full'
        )


@pytest.mark.parametrize(('moving', 'left'), [(False, [0, 0, 0, 30, 30, 30]),
                                              (True, [0, 0, 0, 30, 40, 50])])  # fmt: skip
def test_every_third_answer_is_held_or_moved_on(moving, left):
    full = Walker()
    way = EveryKth(full, 3, moving)
    clip = [(index / 10, np.full((4, 4, 3), index, np.uint8)) for index in range(6)]
    said = [way.detections(frame, stamp_s) for stamp_s, frame in clip]
    assert full.asked == [0, 3]
    assert [float(one.detections.boxes[0, 0]) for one in said] == pytest.approx(left, abs=1e-3)
    assert early_share(said, 'full') == pytest.approx(4 / 6)
    way.reset()
    way.detections(*reversed(clip[4]))
    assert full.asked[-1] == 4
