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

"""Small networks with random weights, which answer as detectors of many families do."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torchvision.ops import nms

from e4_ros.vision.onnx_file.facts import gather
from e4_ros.vision.onnx_file.prepare import prepare
from e4_ros.vision.onnx_file.recognise import Recognised, recognise

CELLS = 400 + 100 + 25  # of strides 8, 16 and 32 in an image of 160 by 160


def export(
    network: nn.Module,
    outputs: Sequence[str] = ('output0',),
    shape: Sequence[int] = (1, 3, 160, 160),
    inputs: Sequence[str] = ('images',),
    metadata: Mapping[str, str] | None = None,
    further: Sequence[Any] = (),
    kind: torch.dtype = torch.float32,
    **options: Any,
) -> onnx.ModelProto:
    """A network as `torch.onnx.export` writes it."""
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            network.eval(),
            (torch.rand(*shape).to(kind), *further),
            file,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamo=False,
            **{'opset_version': 13, **options},
        )
    model = onnx.load_from_string(file.getvalue())
    onnx.helper.set_model_props(model, dict(metadata or {}))
    return model


def recognised(model: onnx.ModelProto, **facts: Any) -> Recognised:
    """What a model is taken for, its metadata read and facts added."""
    known = replace(gather(model, Path('nowhere.onnx')), **facts)
    return recognise(prepare(model, known.size_if_open), known)


def ultralytics(count: int, task: str = 'detect', **further: str) -> dict[str, str]:
    """Metadata as Ultralytics writes it."""
    names = {label: f'thing{label}' for label in range(count)}
    size = {'imgsz': '[160, 160]', 'stride': '32', 'author': 'Ultralytics'}
    return {'names': repr(names), 'task': task, **size, **further}


class Body(nn.Module):
    """Feature maps of strides 8, 16, 32 and so on, eight channels each."""

    def __init__(self, levels: int = 3):
        super().__init__()
        torch.manual_seed(4)
        self.first = nn.Conv2d(3, 8, 8, 8)
        self.later = nn.ModuleList(nn.Conv2d(8, 8, 3, 2, 1) for _ in range(levels - 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.first(x).relu()]
        for layer in self.later:
            maps.append(layer(maps[-1]).relu())
        return maps


class Heads(nn.Module):
    """A body with a convolution for each kind of number, on every map."""

    def __init__(self, *widths: int, levels: int = 3):
        super().__init__()
        self.body = Body(levels)
        torch.manual_seed(5)
        self.heads = nn.ModuleList(nn.Conv2d(8, width, 1) for width in widths)

    def levels(self, x: Tensor) -> list[list[Tensor]]:
        """Numbers of each map, of each kind."""
        return [[head(each) for head in self.heads] for each in self.body(x)]


def grid(levels: Sequence[Sequence[Tensor]], half: float) -> tuple[Tensor, Tensor]:
    """Places ``(A, 2)`` and strides ``(A, 1)`` of all cells."""
    places, steps = [], []
    for number, (each, *_) in enumerate(levels):
        rows, columns = each.shape[2:]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing='ij')
        places.append(torch.stack([x, y], -1).reshape(-1, 2) + half)
        steps.append(torch.full((len(places[-1]), 1), 8.0 * 2**number))
    return torch.cat(places), torch.cat(steps)


class Yolox(Heads):
    """Official YOLOX, its grid raw or decoded."""

    def __init__(self, classes: int, decoded: bool = False):
        super().__init__(4, 1, classes)
        self.decoded = decoded
        self.body.first.weight.data /= 255  # its input goes up to 255

    def forward(self, x: Tensor) -> Tensor:
        levels = self.levels(x)
        outputs = [torch.cat([b, o.sigmoid(), c.sigmoid()], 1) for b, o, c in levels]
        found = torch.cat([each.flatten(2) for each in outputs], 2).permute(0, 2, 1)
        if not self.decoded:
            return found
        places, steps = grid(levels, 0)
        centres = (found[..., :2] + places) * steps
        return torch.cat([centres, torch.exp(found[..., 2:4]) * steps, found[..., 4:]], -1)


class Yolov8(Heads):
    """Ultralytics' head: distributions of 16 bins, then boxes and classes side by side.

    Attributes:
        further: width of what stands behind the classes: masks, keypoints, an angle.
        corners: whether boxes are two corners, as LibreYOLO writes them.
    """

    def __init__(self, classes: int, further: int = 0, corners: bool = False):
        super().__init__(64, classes, *([further] if further else []))
        self.corners = corners

    def forward(self, x: Tensor) -> Tensor:
        levels = self.levels(x)
        box, scores, *further = (
            torch.cat([level[kind].flatten(2) for level in levels], 2)
            for kind in range(len(self.heads))
        )
        sides = box.view(1, 4, 16, -1).transpose(2, 1).softmax(1)
        sides = (sides * torch.arange(16.0).view(1, 16, 1, 1)).sum(1)
        places, steps = grid(levels, 0.5)
        low, high = places.T - sides[:, :2], places.T + sides[:, 2:]
        parts = [low, high] if self.corners else [(low + high) / 2, high - low]
        boxes = torch.cat(parts, 1) * steps.T
        found = torch.cat([boxes, scores.sigmoid()], 1)
        return torch.cat([found, *further], 1) if further else found


class Yolov5(Heads):
    """YOLOv5 and v7 with the grid decoded: three anchors for each cell."""

    def __init__(self, classes: int, raw: bool = False):
        super().__init__(3 * (5 + classes))
        self.width, self.raw = 5 + classes, raw

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        found, maps = [], []
        for number, (level,) in enumerate(self.levels(x)):
            rows, columns = level.shape[2:]
            y = level.view(1, 3, self.width, rows, columns).permute(0, 1, 3, 4, 2)
            maps.append(y)
            v, u = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing='ij')
            cells = torch.stack([u, v], -1).view(1, 1, rows, columns, 2) - 0.5
            sides = torch.tensor([[10.0, 13], [16, 30], [33, 23]]).view(1, 3, 1, 1, 2)
            xy, wh, rest = y.sigmoid().split((2, 2, self.width - 4), 4)
            xy = (xy * 2 + cells) * (8 * 2**number)
            wh = (wh * 2) ** 2 * sides
            found.append(torch.cat((xy, wh, rest), 4).reshape(1, -1, self.width))
        return tuple(maps) if self.raw else torch.cat(found, 1)


class Yolov6(Heads):
    """YOLOv6: distances from the cell, objectness always 1."""

    def __init__(self, classes: int):
        super().__init__(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        levels = self.levels(x)
        sides = torch.cat([box.flatten(2) for box, _ in levels], 2).permute(0, 2, 1).relu()
        scores = torch.cat([each.flatten(2).sigmoid() for _, each in levels], 2).permute(0, 2, 1)
        places, steps = grid(levels, 0.5)
        low, high = places - sides[..., :2], places + sides[..., 2:]
        boxes = torch.cat([(low + high) / 2, high - low], -1) * steps
        return torch.cat([boxes, torch.ones(1, boxes.shape[1], 1), scores], -1)


class NanoDet(Heads):
    """NanoDet: class scores and four distributions of 8 bins, in one tensor or two a map."""

    def __init__(self, classes: int, levels: int = 4, joint: bool = True):
        super().__init__(classes, 32, levels=levels)
        self.joint = joint

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        pairs = [(scores.sigmoid(), sides) for scores, sides in self.levels(x)]
        if self.joint:
            joined = [torch.cat(pair, 1).flatten(2) for pair in pairs]
            return torch.cat(joined, 2).permute(0, 2, 1)
        flat = [[each.flatten(2).permute(0, 2, 1) for each in pair] for pair in pairs]
        return tuple(pair[0] for pair in flat) + tuple(pair[1] for pair in flat)


class WithNms(nn.Module):
    """A YOLOv8 with suppression inside, as ``nms=True`` exports it: ``(1, 20, 6)``."""

    def __init__(self, network: nn.Module, limit: float = 0.25):
        super().__init__()
        self.network, self.limit = network, limit

    def forward(self, x: Tensor) -> Tensor:
        found = self.network(x)[0].T
        centre, half = found[:, :2], found[:, 2:4] / 2
        boxes = torch.cat([centre - half, centre + half], 1)
        scores, labels = found[:, 4:].max(1)
        good = scores > self.limit
        boxes, scores, labels = boxes[good], scores[good], labels[good].float()
        kept = nms(boxes + labels[:, None] * 8192, scores, 0.7)
        rows = torch.cat([boxes, scores[:, None], labels[:, None]], 1)[kept]
        rows = torch.cat([rows, torch.zeros(20, 6)])[:20]
        return rows.reshape(1, 20, 6)


class EndToEnd(nn.Module):
    """YOLOv7 with ``--end2end``: rows of batch, box, label and score, as many as there are."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        found = self.network(x)
        matrix = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]])
        boxes = (found[..., :4] @ matrix)[0]
        scores, labels = (found[0, :, 5:] * found[0, :, 4:5]).max(1)
        kept = nms(boxes + labels[:, None] * 640.0, scores, 0.45)[:100]
        first = torch.zeros_like(labels[kept])[:, None].float()
        parts = [first, boxes[kept], labels[kept, None].float(), scores[kept, None]]
        return torch.cat(parts, 1)


class Detr(nn.Module):
    """Queries that attend to a feature map, and answer with logits and boxes.

    Attributes:
        end: ``pair`` for logits and boxes, ``joined`` as Ultralytics joins them, ``sorted`` with
            what sorts by TopK and scales to the size of the source image.
    """

    def __init__(self, classes: int, end: str = 'pair', queries: int = 30, two_stage: bool = True):
        super().__init__()
        torch.manual_seed(6)
        self.body = Body(1)
        self.queries = nn.Parameter(torch.randn(1, queries, 8))
        self.logits, self.boxes = nn.Linear(8, classes), nn.Linear(8, 4)
        self.end, self.classes, self.two_stage = end, classes, two_stage

    def forward(self, x: Tensor, sizes: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        memory = self.body(x)[0].flatten(2).permute(0, 2, 1)
        queries = self.queries
        if self.two_stage:
            best = memory.sum(-1).topk(queries.shape[1], 1).indices
            queries = queries + memory.gather(1, best[..., None].expand(-1, -1, 8))
        for _ in range(2):
            shares = (queries @ memory.transpose(1, 2)).softmax(-1)
            queries = queries + shares @ memory
        logits, boxes = self.logits(queries), self.boxes(queries).sigmoid()
        if self.end == 'pair':
            return logits, boxes
        if self.end == 'joined':
            return torch.cat([boxes, logits.sigmoid()], -1)
        cx, cy, w, h = boxes.unbind(-1)
        corners = torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1)
        if sizes is not None:
            corners = corners * sizes.repeat(1, 2).unsqueeze(1)
        scores, places = logits.sigmoid().flatten(1).topk(queries.shape[1], 1)
        rows = (places // self.classes).unsqueeze(-1).repeat(1, 1, 4)
        return places % self.classes, corners.gather(1, rows), scores
