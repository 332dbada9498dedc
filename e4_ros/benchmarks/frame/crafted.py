"""Networks that run as ever, and whose outputs are then written over: any exit, any crowd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.exit_thresholds import TEMPORAL
from e4_ros.vision.models.ssd_boxes import SsdSettings, anchors
from e4_ros.vision.runtime.interfaces import CompiledProgram

_SCORE = 0.9
_HALF = 0.4  # of a cell: no two objects of a grid overlap
_LOGIT, _NOTHING = 2.2, -12.0


class Crafted:
    """Lets a chosen exit of an engine answer, with a chosen number of objects.

    Every program and every gate runs whole; then the gate's score is 1 at the chosen exit and 0 at
    all others, and boxes are laid out on a lattice. The full network names every object twice, as
    real ones do, so that suppression has something to suppress.

    Args:
        engine: of the detector that ships, an SSD.

    Attributes:
        programs: every compiled program of the network, by what it is.
        exits: the exits between stages that may be taken, by name.
    """

    def __init__(self, engine: EarlyExitEngine) -> None:
        self._engine = engine
        steps = engine._steps
        self.exits = {s.exit.name: s.exit for s in steps if s.exit and s.exit.name in engine.paths}
        self.programs: dict[str, CompiledProgram] = {
            f'stage{i}': step.stage for i, step in enumerate(steps)
        }
        self._last = list(self.programs)[-1]
        self.programs |= {f'{name} network': step._compiled for name, step in self.exits.items()}
        learnt = getattr(engine.temporal, '_compiled', None)
        if learnt is not None:
            self.programs['temporal network'] = learnt
        self._runs = {name: compiled.run for name, compiled in self.programs.items()}
        self._look = engine.temporal.look
        self._scores = {name: step.score for name, step in self.exits.items()}

    def answer(self, exit_name: str, objects: int) -> None:
        """From now on this exit answers every frame with so many objects."""
        for name, compiled in self.programs.items():
            if name.endswith('network'):
                compiled.run = _then(self._runs[name], compiled, _grid(compiled, objects))  # type: ignore[method-assign]
            elif name == self._last:
                compiled.run = _then(self._runs[name], compiled, self._boxes(compiled, objects))  # type: ignore[method-assign]

        def look(
            frame: np.ndarray, stamp_s: float, prior: Detections | None = None
        ) -> tuple[float, float]:
            return self._look(frame, stamp_s, prior)[0], float(exit_name == TEMPORAL)

        self._engine.temporal.look = look  # type: ignore[method-assign]
        for name, step in self.exits.items():
            step.score = _scored(self._scores[name], float(exit_name == name))  # type: ignore[method-assign]

    def _boxes(self, compiled: CompiledProgram, objects: int) -> dict[str, np.ndarray]:
        size = self._engine.model.input_size
        boxes = anchors(size, SsdSettings())
        encodings = np.zeros(compiled.outputs['encodings'].shape, np.float32)
        logits = np.full(compiled.outputs['logits'].shape, _NOTHING, np.float32)
        # The first map has three anchors a cell; the second is drawn onto the first of its cell.
        rows, columns = SsdSettings().map_sizes(size)[0]
        first = 3 * _spread(rows * columns, objects)
        logits[0, first, 0], logits[0, first + 1, 0] = _LOGIT, _LOGIT - 1
        encodings[0, first + 1, 2:] = 5 * np.log(boxes[first, 2:] / boxes[first + 1, 2:])
        return {'encodings': encodings, 'logits': logits}


def _grid(compiled: CompiledProgram, objects: int) -> dict[str, np.ndarray]:
    peaks = np.zeros(compiled.outputs['peaks'].shape, np.float32)
    cells = peaks.reshape(-1)[: peaks.shape[-1] * peaks.shape[-2]]
    cells[_spread(len(cells), objects)] = _SCORE
    return {'peaks': peaks, 'sides': np.full(compiled.outputs['sides'].shape, _HALF, np.float32)}


def _scored(score: Callable[..., float], wanted: float) -> Callable[..., float]:
    def crafted(*args: Any) -> float:
        score(*args)
        return wanted

    return crafted


def _spread(places: int, count: int) -> np.ndarray:
    """Indices of ``count`` of so many places, as evenly as they go."""
    return (np.arange(count) * places // max(count, 1)).astype(int)


def _then(
    run: Callable[[], None], compiled: CompiledProgram, written: Mapping[str, np.ndarray]
) -> Callable[[], None]:
    def crafted() -> None:
        run()
        for name, values in written.items():
            compiled.outputs[name].write(values)

    return crafted
