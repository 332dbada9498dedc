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

"""Draw a frame's answer and what it cost: boxes on the picture, the rest on a strip below it.

A track has a colour of its own, its id, and an arrow to where it will be in a second. Boxes
that belong to no track have the colour of the exit that answered, as the strip's caption has.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from e4_ros.perception.palette import exit_colors, hertz, joules, rgb, seconds, track_color
from e4_ros.perception.records import FrameRecord
from e4_ros.vision.detections import Detections

Color = tuple[int, int, int]

_STRIP, _BRIGHT, _DIM, _TRACK = (17, 21, 28), (238, 241, 245), (148, 158, 170), (44, 51, 61)
_HISTORY = 120
_AHEAD_S = 1.0  # an arrow leads to where a track will be then


class Annotator:
    """Draws frame after frame; the strip shows the exits of the last frames.

    Args:
        exits: Names of the model's exits, for their colours.
        class_names: What a label means; drawn where there is more than one.
        task: ``detect`` draws boxes, ``classify`` and ``clips`` name the class.
        min_score: Boxes that score less are not drawn.
        width: Width of the drawn picture in pixels; 0 keeps the frame's own.
    """

    def __init__(
        self,
        exits: Sequence[str],
        class_names: Sequence[str],
        task: str = 'detect',
        min_score: float = 0.0,
        width: int = 0,
    ) -> None:
        self._colors = {name: rgb(color) for name, color in exit_colors(exits).items()}
        self._class_names = class_names
        self._task = task
        self._min_score = min_score
        self._width = width
        self._history: deque[str] = deque(maxlen=_HISTORY)

    def draw(self, frame: np.ndarray, record: FrameRecord) -> np.ndarray:
        """Return a new picture; its height and width are even, as video codecs want them.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB, the frame the record is about.
            record: What was answered and what it cost.
        """
        self._history.append(record.result.exit)
        scale = (self._width or frame.shape[1]) / frame.shape[1]
        picture = _resized(frame, scale)
        height, width = picture.shape[:2]
        unit = max(round(width / 60), 8)  # the text's height, and the measure of everything else
        strip = -(-unit * 4 // 2) * 2
        canvas = Image.new('RGB', (width, height + strip), _STRIP)
        canvas.paste(Image.fromarray(picture), (0, 0))
        pen = ImageDraw.Draw(canvas, 'RGBA')
        self._draw_detections(pen, record, scale, unit, (width, height))
        self._draw_strip(pen, record, unit, (width, height, strip))
        return np.asarray(canvas)

    def _draw_detections(
        self,
        pen: ImageDraw.ImageDraw,
        record: FrameRecord,
        scale: float,
        unit: int,
        size: tuple[int, int],
    ) -> None:
        detections = record.result.detections
        color = self._color(record.result.exit)
        if self._task != 'detect':
            rows = [
                f'{self._class_name(label)}  {score:.2f}'
                for label, score in zip(detections.labels[:3], detections.scores[:3], strict=True)
            ]
            for index, row in enumerate(rows):
                _tag(pen, (unit, unit + index * unit * 2), row, color, unit, size[0])
            return
        line, small = max(unit // 7, 2), round(unit * 0.75)
        shown = detections.above(self._min_score)
        # Weakest first, so that the surest box and its label lie on top.
        for index in reversed(range(len(shown))):
            x0, y0, x1, y1 = (float(v) for v in _clipped(shown.boxes[index] * scale, size))
            if x1 - x0 < 1 or y1 - y0 < 1:
                continue
            if shown.ids is not None:
                color = rgb(track_color(int(shown.ids[index])))
            pen.rectangle((x0, y0, x1, y1), outline=color, width=line, fill=(*color, 28))
            if shown.velocities is not None:
                ahead = shown.velocities[index] * (scale * _AHEAD_S)
                _arrow(pen, ((x0 + x1) / 2, y1), ahead, color, unit)
            _tag(pen, (x0, y0 - small * 1.6), self._words(shown, index), color, small, size[0])

    def _words(self, detections: Detections, index: int) -> str:
        """What a box's label says: class, track and score, as far as they tell anything."""
        words = [f'{detections.scores[index]:.2f}']
        if detections.ids is not None:
            words.insert(0, f'#{detections.ids[index]}')
        if len(self._class_names) > 1:
            words.insert(0, self._class_name(int(detections.labels[index])))
        return ' '.join(words)

    def _draw_strip(
        self, pen: ImageDraw.ImageDraw, record: FrameRecord, unit: int, size: tuple[int, int, int]
    ) -> None:
        width, top, strip = size
        result, margin = record.result, unit
        first, second = top + strip * 0.30, top + strip * 0.72
        color = self._color(result.exit)
        x = margin + _tag(pen, (margin, first - unit * 0.95), result.exit, color, unit, width)
        latency = seconds(result.latency_s)
        if record.full:
            latency += f' (full network {seconds(record.full.latency_s)})'
        text = f'{latency}    diversity {result.diversity:.2f}'
        pen.text((x + unit, first), text, _BRIGHT, _font(unit), anchor='lm')
        clocks = [f'{name} {hertz(value)}' for name, value in record.mean_point().items()]
        energy = f'{joules(record.energy_j)} {record.energy_source}'
        text = '    '.join([*([] if record.energy_source == 'none' else [energy]), *clocks])
        pen.text((margin, second), text, _DIM, _font(unit), anchor='lm')
        pen.text((width - margin, second), f'#{record.frame}', _DIM, _font(unit), anchor='rm')
        self._draw_history(pen, width - margin, first, unit)

    def _draw_history(
        self, pen: ImageDraw.ImageDraw, right: float, middle: float, unit: int
    ) -> None:
        """One tick for each of the last frames, the newest on the right."""
        step = max(unit // 8, 2)
        left, low, high = right - _HISTORY * step, middle - unit * 0.5, middle + unit * 0.5
        pen.rectangle((left, low, right, high), fill=_TRACK)
        for age, name in enumerate(reversed(self._history)):
            x = right - (age + 1) * step
            pen.rectangle((x, low, x + step - 1, high), fill=self._color(name))

    def _color(self, name: str) -> Color:
        return self._colors.get(name, _DIM)

    def _class_name(self, label: int) -> str:
        return self._class_names[label] if 0 <= label < len(self._class_names) else str(label)


def _arrow(
    pen: ImageDraw.ImageDraw,
    start: tuple[float, float],
    ahead: np.ndarray,
    color: Color,
    unit: int,
) -> None:
    """Draw an arrow; none where next to nothing moves, and a long one is cut."""
    length = float(np.hypot(*ahead))
    if not length >= unit * 0.5:  # nor where it is not known
        return
    way = ahead / length
    tail = np.array(start)
    tip = tail + way * min(length, unit * 5)
    across = np.array([-way[1], way[0]])
    head = max(unit * 0.55, 5.0)
    for ink, width, grow in ((_STRIP, unit / 3, unit * 0.12), (color, unit / 6, 0.0)):
        neck = tip - way * head
        pen.line((*tail, *neck), fill=ink, width=max(round(width), 2))
        wing = across * (head * 0.55 + grow)
        corners = (tip + way * grow, neck - way * grow + wing, neck - way * grow - wing)
        pen.polygon([(float(x), float(y)) for x, y in corners], fill=ink)


def _resized(frame: np.ndarray, scale: float) -> np.ndarray:
    """Scale, and drop the odd last row and column."""
    if scale != 1:
        area = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=area)
    height, width = frame.shape[:2]
    return np.ascontiguousarray(frame[: height - height % 2 or 1, : width - width % 2 or 1])


def _clipped(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    return np.clip(box, 0, (width - 1, height - 1, width - 1, height - 1))


def _tag(
    pen: ImageDraw.ImageDraw,
    corner: tuple[float, float],
    text: str,
    color: Color,
    unit: int,
    width: int,
) -> float:
    """Write on a filled label, kept inside the picture; returns the label's width."""
    font = _font(unit)
    label = pen.textlength(text, font) + unit * 0.9
    x, y = min(max(corner[0], 0), max(width - label, 0)), max(corner[1], 0)
    pen.rounded_rectangle((x, y, x + label, y + unit * 1.6), radius=unit * 0.3, fill=color)
    middle = (x + unit * 0.45, y + unit * 0.8)
    pen.text(middle, text, _ink(color), font, anchor='lm')
    return label


def _ink(color: Color) -> Color:
    """Black or white, whichever reads better on ``color`` (ITU-R BT.601 luma)."""
    luma = np.dot(color, (0.299, 0.587, 0.114))
    return _STRIP if luma > 140 else (255, 255, 255)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
