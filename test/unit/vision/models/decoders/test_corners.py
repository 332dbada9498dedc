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

"""What stands before a suppression node: the decoder against ONNX Runtime's node itself."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from e4_ros.vision.models.decoders import CornersDecoder
from e4_ros.vision.placement import Placement

SIZE = (96, 128)
AS_IT_IS = Placement(SIZE, (1.0, 1.0), (0.0, 0.0))


def suppressed(boxes, scores, centred):
    """Rows of ``(class, box)`` that ONNX's node keeps, with its score."""
    names = ['boxes', 'scores', 'most', 'iou', 'least']
    node = helper.make_node('NonMaxSuppression', names, ['kept'], center_point_box=int(centred))
    graph = helper.make_graph(
        [node],
        'suppression',
        [
            helper.make_tensor_value_info('boxes', TensorProto.FLOAT, boxes.shape),
            helper.make_tensor_value_info('scores', TensorProto.FLOAT, scores.shape),
        ],
        [helper.make_tensor_value_info('kept', TensorProto.INT64, ['K', 3])],
        [
            helper.make_tensor('most', TensorProto.INT64, [1], [200]),
            helper.make_tensor('iou', TensorProto.FLOAT, [1], [0.5]),
            helper.make_tensor('least', TensorProto.FLOAT, [1], [0.3]),
        ],
    )
    opset = [helper.make_opsetid('', 17)]
    model = helper.make_model(graph, ir_version=8, opset_imports=opset)
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString())
    (kept,) = session.run(None, {'boxes': boxes, 'scores': scores})
    found = [(float(scores[0, c, row]), int(c), int(row)) for _, c, row in kept]
    return sorted(found, reverse=True)


@pytest.mark.parametrize('transposed', [False, True])
@pytest.mark.parametrize('background', [False, True])
@pytest.mark.parametrize('given', ['xyxy', 'cxcywh', 'yxyx'])
def test_it_keeps_what_the_node_keeps(given, transposed, background):
    rng = np.random.default_rng(1)
    start = rng.random((1, 150, 2), np.float32) * 0.7
    size = rng.uniform(0.05, 0.3, (1, 150, 2)).astype(np.float32)
    xyxy = np.concatenate([start, start + size], 2)
    boxes = {
        'xyxy': xyxy,
        'yxyx': xyxy[..., [1, 0, 3, 2]],
        'cxcywh': np.concatenate([start + size / 2, size], 2),
    }[given]
    scores = rng.random((1, 3, 150), np.float32)
    expected = suppressed(boxes, scores, given == 'cxcywh')

    if background:
        scores = np.concatenate([np.ones((1, 1, 150), np.float32), scores], 1)
    decoder = CornersDecoder(
        classes=3, boxes=given, transposed=transposed, background=background, relative=True
    )
    outputs = {'boxes': boxes, 'scores': scores.transpose(0, 2, 1) if transposed else scores}
    found = decoder.for_input(SIZE)(outputs, AS_IT_IS, 0.3)
    assert len(found) == len(expected) > 50
    assert found.labels.tolist() == [label for _, label, _ in expected]
    np.testing.assert_array_equal(found.scores, [score for score, _, _ in expected])
    rows = [row for _, _, row in expected]
    np.testing.assert_allclose(found.boxes, xyxy[0, rows] * [128, 96, 128, 96], atol=1e-3)


@pytest.mark.parametrize(
    ('shape', 'words'),
    [((1, 4, 9), '1×4×9, not 1×3×9: 9 boxes, 3 classes'), ((1, 9, 3), '1×9×3, not 1×3×9')],
)
def test_scores_of_another_shape_are_refused(shape, words):
    outputs = {'boxes': np.zeros((1, 9, 4)), 'scores': np.zeros(shape)}
    with pytest.raises(ValueError, match=words):
        CornersDecoder(classes=3).for_input(SIZE)(outputs, AS_IT_IS, 0.1)
