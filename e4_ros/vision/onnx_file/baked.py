"""What a graph does with its image first: exports that normalise inside say so what they take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from e4_ros.vision.onnx_file.families import STRETCHED, STRETCHED_255, Look
from e4_ros.vision.onnx_file.graph import Graph

_MEANS = ([0.485, 0.456, 0.406], [0.482, 0.459, 0.408])  # ImageNet's and VGG's, red first
_PASSED = ('Reshape', 'Transpose', 'Cast', 'Unsqueeze', 'Squeeze', 'Identity', 'Gather', 'Resize')


def baked_look(graph: Graph) -> Look | None:
    """How frames look to a network that normalises them itself; None for one that does not."""
    name = graph.model.graph.input[0].name
    for _ in range(12):
        for node in graph.readers(name):
            for each in node.input:
                value = graph.constant(each) if each != name else None
                if value is None or node.op_type not in ('Sub', 'Add', 'Div', 'Mul'):
                    continue
                if (look := _look(node.op_type, np.abs(value).ravel())) is not None:
                    return look
        onward = [node for node in graph.readers(name) if node.op_type in _PASSED]
        if len(onward) != 1:
            return None
        name = onward[0].output[0]
    return None


def _look(operation: str, value: np.ndarray) -> Look | None:
    if value.size == 3:
        for look, scale in ((STRETCHED, 1.0), (STRETCHED_255, 255.0)):
            for mean in np.array(_MEANS) * scale:
                if np.allclose(value, mean, rtol=0.02):
                    return look
                if np.allclose(value, mean[::-1], rtol=0.02):
                    return replace(look, colour='bgr')
        if len(set(value.tolist())) > 1:
            return None
    elif value.size != 1:
        return None
    number = float(value[0])
    if operation in ('Sub', 'Add') and number == 0.5:
        return STRETCHED  # torchvision's SSDLite
    by = {'Div': number, 'Mul': 1 / number if number else 0.0}.get(operation, 0.0)
    inside = abs(by - 255) < 1 or abs(by - 127.5) < 1 or abs(by - 128) < 1
    return STRETCHED_255 if inside or 127 <= number <= 128 else None
