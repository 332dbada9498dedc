"""An exit between two stages at run time: its head and gate in one piece, and its memory."""

from __future__ import annotations

import numpy as np
import torch

from e4_ros.vision.detections import Detections
from e4_ros.vision.exit_checkpoint import Exit
from e4_ros.vision.export.node_costs import module_cost
from e4_ros.vision.export.onnx_export import ModuleProgram
from e4_ros.vision.inference import grid_boxes
from e4_ros.vision.inference.temporal_exit import TemporalExit, certainty
from e4_ros.vision.model import VisionModel
from e4_ros.vision.nets.exit_gate import SLOTS, STATE
from e4_ros.vision.nets.heads import Answering, AnsweringAndJudging
from e4_ros.vision.runtime.interfaces import Buffer, Runtime


class ExitStep:
    """Answers from the tensor between two stages.

    Per frame the engine asks `most` and, if that might do, `score`; where the policy takes the
    score, `detections`; and tells `remember` once the frame has its answer.

    An exit without a gate scores by how sure its answer is of itself (as BranchyNet's do, Teerapi-
    ttayanon et al., arXiv 1709.01686), and remembers nothing.

    Args:
        fitted: the exit as the checkpoint has it.
        features: the tensor that the stage before it leaves behind.
        temporal: the stream's temporal exit, which looks at every frame before this one does.
        model: whose outputs a head to classes imitates.
        runtime: what runs the head.
        carried: the state that the exit before leaves behind; None where none does.

    Attributes:
        name: of the exit.
        cost: multiply-accumulates, bytes and layers of head and gate.
        state: what the next exit may read; None without a gate.
    """

    def __init__(
        self,
        fitted: Exit,
        features: Buffer,
        temporal: TemporalExit,
        model: VisionModel,
        runtime: Runtime,
        carried: Buffer | None = None,
    ):
        self.name = fitted.name
        self._model = model
        self._temporal = temporal
        self._answer = Detections.empty()
        self._gated = fitted.gate is not None
        far = carried is not None and carried is temporal.state and runtime.host is not runtime
        self._state_there = carried if far else None
        inputs = {'features': features}
        if fitted.gate is None:
            module: Answering | AnsweringAndJudging = Answering(fitted.head).eval()
        else:
            module = AnsweringAndJudging(fitted.head, fitted.gate).eval()
            self._memory = runtime.buffer((1, SLOTS, fitted.gate.channels))
            self._filled = runtime.buffer((1, SLOTS))
            inputs |= {
                'memory': self._memory,
                'filled': self._filled,
            }
            # The temporal exit leaves its state in the host's memory; a head elsewhere has a copy.
            self._state_here = runtime.buffer((1, STATE)) if carried is None or far else carried
            inputs['state'] = self._state_here
        shapes = {name: tuple(buffer.shape) for name, buffer in inputs.items()}
        program = ModuleProgram(self.name, module, shapes, module.output_names)
        self._piece = runtime.compile(program, inputs)
        self.cost = module_cost(module, *map(torch.zeros, shapes.values()))
        self.state = self._piece.outputs['next_state'] if self._gated else None

    def most(self) -> float:
        """The most that `score` can be for this frame; costs nothing."""
        return self._temporal.in_distribution

    def score(self, frame_shape: tuple[int, ...], min_score: float) -> float:
        """Run head and gate on what the stage has just left.

        Args:
            frame_shape: ``(H, W, ...)`` of the source frame.
            min_score: detections that score less are left out of the answer.

        Returns:
            The gate score in [0, 1].
        """
        if self._state_there is not None:
            self._state_here.write(self._state_there.read())
        self._piece.run()
        outputs = {name: buffer.read() for name, buffer in self._piece.outputs.items()}
        if self._model.task == 'classify':
            self._answer = self._model.decode(outputs, frame_shape, min_score)
        else:
            peaks, sides = outputs['peaks'][0], outputs['sides'][0]
            self._answer = grid_boxes.decode(peaks, sides, frame_shape, min_score)
        score = float(outputs['gate'][0, 0]) if self._gated else certainty(self._answer)
        return score * self._temporal.in_distribution

    def detections(self) -> Detections:
        """The answer that was scored last."""
        return self._answer

    def remember(self, detections: Detections) -> None:
        """Hear what this or a later exit answered for the frame scored last; keep its token."""
        if not self._gated:
            return
        held = self._memory.read().copy()
        token = self._piece.outputs['token'].read()
        self._memory.write(np.concatenate([token[:, None], held[:, :-1]], 1))
        filled = self._filled.read().copy()
        self._filled.write(np.concatenate([np.ones((1, 1)), filled[:, :-1]], 1))

    def reset(self) -> None:
        """Forget the stream."""
        self._answer = Detections.empty()
        if self._gated:
            self._filled.write(np.zeros(()))
