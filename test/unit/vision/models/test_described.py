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

"""Models by their settings: class names that fit, and models that look for some classes alone."""

import numpy as np
import pytest
from torch import nn

from e4_ros.vision.models.decoders import ClassDecoder, DetrDecoder
from e4_ros.vision.models.described import DescribedModel
from e4_ros.vision.models.preprocessing import Stretch
from e4_ros.vision.networks.trainable import TrainableModel

STRETCH = Stretch(size=(32, 32), mean=(0, 0, 0), std=(1, 1, 1))
NAMES = ('person', 'bicycle', 'car', 'dog')


def described(names=NAMES, labels=()):
    return DescribedModel('set', 'detect', names, STRETCH, DetrDecoder(classes=4), labels)


def one_of_each():
    """Class ``i`` at query ``i``, the later the surer."""
    logits = np.full((1, 4, 4), -9, np.float32)
    logits[0, range(4), range(4)] = [0, 1, 2, 3]
    boxes = np.full((1, 4, 4), 0.5, np.float32)
    return {'logits': logits, 'boxes': boxes}


def test_a_narrowed_model_answers_in_its_own_labels():
    found = described(('bicycle', 'dog'), (1, 3)).decode(one_of_each(), (64, 64, 3), 0.1)
    assert found.labels.tolist() == [1, 0]
    assert described().decode(one_of_each(), (64, 64, 3), 0.1).labels.tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ('names', 'labels', 'words'),
    [
        (NAMES[:3], (), '3 class names for a network of 4 classes'),
        (('car', 'dog'), (2,), '1 labels for 2 class names'),
        (('dog', 'car'), (3, 2), 'must rise'),
        (('car', 'car'), (2, 2), 'must rise'),
        (('cat',), (4,), 'no class 4 in a network of 4'),
    ],
)
def test_names_that_do_not_fit_are_refused(names, labels, words):
    with pytest.raises(ValueError, match=words):
        described(names, labels)


def test_an_answer_without_a_name_is_refused():
    """Where the decoder cannot know how many classes there are."""
    model = DescribedModel('few', 'classify', ('a', 'b'), STRETCH, ClassDecoder())
    with pytest.raises(ValueError, match=r'few answers with class 2, .* only 2 class names'):
        model.decode({'logits': np.array([[0, 0, 9.0]])}, (8, 8), 0.1)


def test_a_model_is_narrowed_by_names_and_narrowed_again():
    whole = TrainableModel('set', 'detect', NAMES, STRETCH, DetrDecoder(classes=4), nn.Identity())
    some = whole.narrowed(['dog', 'person', 'car', 'dog'])
    assert (some.class_names, some.labels) == (('person', 'car', 'dog'), (0, 2, 3))
    fewer = some.narrowed(['dog', 'car'])
    assert (fewer.class_names, fewer.labels) == (('car', 'dog'), (2, 3))
    assert fewer.network is whole.network


def test_classes_that_a_model_does_not_know_are_refused():
    whole = TrainableModel('set', 'detect', NAMES, STRETCH, DetrDecoder(classes=4), nn.Identity())
    with pytest.raises(ValueError, match=r"set knows no class 'bicicle' \(near: bicycle\)"):
        whole.narrowed(['dog', 'bicicle'])
    with pytest.raises(ValueError, match='at least one class'):
        whole.narrowed([])
