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

"""Scores of classes, computed only where they are high enough to matter."""

from __future__ import annotations

import math

import numpy as np


def logit(min_score: float) -> float:
    """The logit whose sigmoid is a score; what is below it need not be decoded at all.

    Raises:
        ValueError: the score is not between 0 and 1, neither included.
    """
    if not 0 < min_score < 1:
        raise ValueError(f'the least score must lie between 0 and 1, got {min_score}')
    return math.log(min_score / (1 - min_score))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Scores of logits, in their own type."""
    return 1 / (1 + np.exp(-logits))


def passing(scores: np.ndarray, least: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the scores that are high enough.

    ``np.nonzero`` says the same, but takes ten times as long where few of many are.

    Args:
        scores: ``(N, C)``.
        least: what is less is left out; one number, or one for each row ``(N, 1)``.
    """
    places = np.flatnonzero(scores >= least)
    return np.divmod(places, scores.shape[1])


def foreground(logits: np.ndarray, min_score: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes whose share of a softmax is high enough, where class 0 is the background.

    A class cannot reach a score where it does not reach it against the background alone, so that
    most rows are left out before anything is exponentiated.

    Args:
        logits: ``(N, 1 + C)``.
        min_score: what scores less is left out; between 0 and 1, neither included.

    Returns:
        Rows, classes counted without the background, and scores; ``(M,)`` each.
    """
    rows, labels = passing(logits[:, 1:], logits[:, :1] + logit(min_score))
    some, places = np.unique(rows, return_inverse=True)
    shares = np.exp(logits[some] - logits[some].max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    scores = shares[places, labels + 1]
    good = scores >= min_score
    return rows[good], labels[good], scores[good]


def object_and_class(
    output: np.ndarray, min_score: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The likeliest class of each row, where it and objectness are high enough together.

    Args:
        output: ``(N, 5 + C)``: four numbers of a box, objectness, classes, 0 to 1.
        min_score: what scores less is left out.

    Returns:
        Rows, classes and scores, objectness times class; ``(M,)`` each.
    """
    rows = np.flatnonzero(output[:, 4] >= min_score)  # no class scores above 1
    found = output[rows]
    labels = found[:, 5:].argmax(1)
    scores = found[:, 4] * found[np.arange(len(rows)), 5 + labels]
    good = scores >= min_score
    return rows[good], labels[good], scores[good]
