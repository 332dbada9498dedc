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

"""Networks that answer with finished boxes: every way to write them down says the same."""

import numpy as np
import pytest
from pydantic import ValidationError

from e4_ros.vision.models.decoders import RowsDecoder, TripleDecoder
from e4_ros.vision.placement import Placement

SIZE = (100, 200)
HALF = Placement((200, 400), (0.5, 0.5), (0.0, 0.0))
#: In the input, x0, y0, x1, y1; the last one is padding.
BOXES = np.array([[10, 20, 30, 40], [50, 60, 250, 80], [0, 0, 9, 9], [0, 0, 0, 0]], np.float32)
SCORES = np.array([0.3, 0.9, 0.05, 0], np.float32)
LABELS = np.array([2, 0, 1, 0], np.float32)
CENTRED = np.concatenate([(BOXES[:, :2] + BOXES[:, 2:]) / 2, BOXES[:, 2:] - BOXES[:, :2]], 1)


def check(found):
    np.testing.assert_allclose(found.boxes, [[100, 120, 400, 160], [20, 40, 60, 80]], atol=1e-4)
    assert found.scores.tolist() == pytest.approx([0.9, 0.3])
    assert found.labels.tolist() == [0, 2]


@pytest.mark.parametrize('batch', [True, False])
@pytest.mark.parametrize(
    ('columns', 'settings'),
    [
        ((BOXES, SCORES, LABELS), {}),
        ((BOXES / [200, 100, 200, 100], SCORES, LABELS), {'relative': True}),
        ((CENTRED, SCORES, LABELS), {'boxes': 'cxcywh'}),
        ((BOXES[:, [1, 0, 3, 2]], SCORES, LABELS), {'boxes': 'yxyx'}),
        ((BOXES, SCORES, LABELS + 1), {'first_label': 1}),
        ((LABELS, SCORES, BOXES), {'columns': ('label', 'score', 'box')}),
        (
            (np.zeros(4), BOXES, LABELS, SCORES),
            {'columns': ('batch', 'box', 'label', 'score')},
        ),
    ],
)
def test_rows_are_read_whatever_their_columns(columns, settings, batch):
    rows = np.column_stack(columns).astype(np.float32)
    decode = RowsDecoder(**settings).for_input(SIZE)
    check(decode({'output': rows[None] if batch else rows}, HALF, 0.1))


@pytest.mark.parametrize('batch', [True, False])
@pytest.mark.parametrize(
    ('boxes', 'first', 'settings'),
    [
        (BOXES, 0, {}),
        (BOXES / [200, 100, 200, 100], 0, {'relative': True}),
        (BOXES[:, [1, 0, 3, 2]], 1, {'boxes': 'yxyx', 'first_label': 1}),
    ],
)
def test_three_outputs_are_read(boxes, first, settings, batch):
    outputs = {'labels': LABELS.astype(np.int64) + first, 'boxes': boxes, 'scores': SCORES}
    if batch:
        outputs = {name: value[None] for name, value in outputs.items()}
    check(TripleDecoder(**settings).for_input(SIZE)(outputs, HALF, 0.1))


def test_the_background_is_no_class():
    decoder = RowsDecoder(first_label=2)
    rows = np.column_stack([BOXES, SCORES, LABELS])
    assert decoder.for_input(SIZE)({'output': rows}, HALF, 0.1).labels.tolist() == [0]
    outputs = {'labels': LABELS, 'boxes': BOXES, 'scores': SCORES}
    found = TripleDecoder(first_label=1).for_input(SIZE)(outputs, HALF, 0.1)
    assert found.labels.tolist() == [1]


def test_the_best_are_kept_where_there_are_too_many():
    rows = np.column_stack([BOXES, SCORES, LABELS])
    found = RowsDecoder(most=1).for_input(SIZE)({'output': rows}, HALF, 0.1)
    assert found.scores.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize(
    ('shape', 'words'), [((1, 300, 7), '300×7, not N×6'), ((2, 300, 6), '2×300×6')]
)
def test_rows_of_other_columns_or_of_two_images_are_refused(shape, words):
    with pytest.raises(ValueError, match=words):
        RowsDecoder().for_input(SIZE)({'output': np.zeros(shape)}, HALF, 0.1)


def test_columns_without_a_label_are_refused():
    with pytest.raises(ValidationError, match='one box, one score and one label'):
        RowsDecoder(columns=('box', 'score'))


def test_outputs_that_do_not_count_alike_are_refused():
    outputs = {'labels': LABELS[None], 'boxes': BOXES[None, :3], 'scores': SCORES[None]}
    with pytest.raises(ValueError, match="'boxes' of the network is 3×4, not 4×4: as many"):
        TripleDecoder().for_input(SIZE)(outputs, HALF, 0.1)
