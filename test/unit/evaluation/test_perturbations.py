from __future__ import annotations

import numpy as np
import pytest

from e4_ros.evaluation.perturbations import PERTURBATIONS, cut_to, perturbed

SHAPE = (48, 64, 3)


@pytest.fixture(scope='module')
def clip():
    """One textured picture, filmed without motion."""
    picture = np.random.default_rng(1).integers(60, 255, SHAPE, np.uint8)
    return [(index / 10, picture) for index in range(40)]


@pytest.mark.parametrize('name', PERTURBATIONS)
def test_only_what_comes_after_is_changed(clip, name):
    changed = perturbed(name, clip, 15)
    assert [stamp for stamp, _ in changed] == [stamp for stamp, _ in clip]
    assert all(frame.shape == SHAPE and frame.dtype == np.uint8 for _, frame in changed)
    same = [np.array_equal(a, b) for (_, a), (_, b) in zip(changed, clip, strict=True)]
    assert same[:15] == [True] * 15
    assert not any(same[16:])


@pytest.mark.parametrize('name', PERTURBATIONS)
def test_the_same_thing_happens_every_time(clip, name):
    once, again = perturbed(name, clip, 15), perturbed(name, clip, 15)
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(once, again, strict=True))


def test_nothing_happens_to_a_clip_that_has_ended(clip):
    assert perturbed('darkened', clip[:10], 10) == clip[:10]


def test_night_is_dark_and_a_covered_lens_shows_nothing(clip):
    night, covered = (perturbed(name, clip, 0)[0][1] for name in ('darkened', 'covered'))
    assert night.mean() < 0.2 * clip[0][1].mean()

    def resemblance(image):
        return np.corrcoef(image.ravel(), clip[0][1].ravel())[0, 1]

    assert resemblance(night) > 0.8
    assert abs(resemblance(covered)) < 0.2


def test_a_pan_moves_on_from_frame_to_frame(clip):
    first, second, later = (perturbed('panned', clip, 0)[i][1].astype(int) for i in (0, 15, 30))
    assert abs(first - second).mean() > 20
    assert abs(second - later).mean() > 20


def test_a_cut_keeps_the_size_and_repeats_a_clip_that_is_too_short(clip):
    other = [(0.0, np.full((20, 100, 3), level, np.uint8)) for level in (10, 200)]
    cut = cut_to(clip, other, 37)
    assert [frame.mean() for _, frame in cut[37:]] == [10, 200, 10]
    assert all(frame.shape == SHAPE for _, frame in cut)
    assert cut[36][1] is clip[36][1]
