"""An exit between two stages at run time: its compiled head, its score and its answer."""

from __future__ import annotations

import torch
from torch import nn

from e4_ros.vision import grid_boxes
from e4_ros.vision.answer import Answer
from e4_ros.vision.cascade import TemporalExit, certainty
from e4_ros.vision.checkpoint import Exit
from e4_ros.vision.exits import GridHead, Peaks
from e4_ros.vision.model import VisionModel
from e4_ros.vision.node_costs import module_cost
from e4_ros.vision.runtime import Buffer, Runtime


class ExitStep:
    """Answers from the tensor between two stages.

    Per frame the engine asks `most` and, if that might do, `score`; where the policy takes the
    score, `answer`; and tells `remember` once the frame has its answer.

    Args:
        fitted: the exit as the checkpoint has it.
        features: the tensor that the stage before it leaves behind.
        temporal: the stream's temporal exit, which looks at every frame before this one does.
        model: whose outputs a head to classes imitates.
        runtime: what runs the head.

    Attributes:
        name: of the exit.
        cost: multiply-accumulates, bytes and layers of the head.
    """

    def __init__(
        self,
        fitted: Exit,
        features: Buffer,
        temporal: TemporalExit,
        model: VisionModel,
        runtime: Runtime,
    ):
        self.name = fitted.name
        head = _at_run_time(fitted.head)
        self._piece = runtime.compile(head, [features])
        self.cost = module_cost(head, torch.zeros(features.shape))
        self._model = model
        self._temporal = temporal
        self._answer = Answer.empty()

    def most(self) -> float:
        """The most that `score` can be for this frame; costs nothing."""
        return self._temporal.familiarity

    def score(self, frame_shape: tuple[int, ...], min_score: float) -> float:
        """Run the head on what the stage has just left.

        Args:
            frame_shape: ``(H, W, ...)`` of the source frame.
            min_score: detections that score less are left out of the answer.

        Returns:
            The gate score in [0, 1].
        """
        self._piece.run()
        outputs = [buffer.read() for buffer in self._piece.outputs]
        if self._model.task == 'classify':
            self._answer = self._model.decode(outputs, frame_shape, min_score)
        else:
            peaks, sides = outputs
            self._answer = grid_boxes.decode(peaks[0], sides[0], frame_shape, min_score)
        return certainty(self._answer) * self._temporal.familiarity

    def answer(self) -> Answer:
        """The answer that was scored last."""
        return self._answer

    def remember(self, answer: Answer) -> None:
        """Hear what this or a later exit answered for the frame scored last.

        This exit looks at one frame only and keeps nothing.
        """

    def reset(self) -> None:
        """Forget the stream."""
        self._answer = Answer.empty()


def _at_run_time(head: nn.Module) -> nn.Module:
    return Peaks(head).eval() if isinstance(head, GridHead) else head.eval()
